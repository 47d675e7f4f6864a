//! Runs the server until it is told to stop.

use crate::{
    api::{self, App},
    config::{HoldPolicy, Settings},
    filesystem,
};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
use pixel_core::{
    catalog::{Catalog, VendorCard},
    id::ModelId,
};
use pixel_engine::{
    Engine, EngineOptions, HoldRules, LaneOptions,
    door::{Door, DoorLimits},
    fetch::Fetcher,
    guard::Guard,
    media::MediaLimits,
};
use pixel_store::{Budget, Options, Store, blobs::Blobs};
use std::{
    collections::HashSet, error::Error, future::IntoFuture, io::Write, path::PathBuf, sync::Arc, time::Duration,
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

type Failure = Box<dyn Error + Send + Sync>;

/// Abandoned staging files are removed when they are this old.
const STAGING_MAX: Duration = Duration::from_secs(3600);
/// How often the figures of requests are sorted in; between two scrapes they would only grow.
const DIGEST_EVERY: Duration = Duration::from_secs(1);
/// How long a task may wait for a vendor that cannot take it.
const PATIENCE: Duration = Duration::from_secs(24 * 3600);
/// Pictures decoded at the same time: each may take hundreds of megabytes.
const DECODES: usize = 4;

/// `ffmpeg` makes posters of clips that their vendors send without one.
pub async fn serve(settings: Settings, ffmpeg: Option<PathBuf>) -> Result<(), Failure> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let listener = TcpListener::bind(settings.listen).await.map_err(|error| {
        format!("cannot listen on {}: {error}. Is another server running there? Choose with --listen.", settings.listen)
    })?;
    let address = format!("http://{}", listener.local_addr()?);
    let shutdown = settings.shutdown;
    let app = Arc::new(open(settings, ffmpeg, address.clone()).await?);
    app.engine.start();
    let chores = [tokio::spawn(sweep(app.engine.blobs().clone())), tokio::spawn(digest(app.metrics.clone()))];
    announce(&app, &address)?;

    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = axum::serve(listener, api::router(Arc::clone(&app)))
        .with_graceful_shutdown(async {
            // A closed channel means the same as a word on it.
            let _ = stopped.await;
        })
        .into_future();
    let serving = tokio::spawn(serving);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping");
    let _ = stop.send(());
    // Requests, work and the writer share the time: the writer must have the last of it.
    let share = shutdown.mul_f64(0.8);
    let drained = tokio::time::timeout(share, serving);
    let ((), _) = tokio::join!(app.engine.stop(share), drained);
    chores.iter().for_each(tokio::task::JoinHandle::abort);
    if tokio::time::timeout(shutdown.mul_f64(0.2), app.engine.store().close()).await.is_err() {
        tracing::warn!("the database did not close in time; it recovers at the next start");
    }
    tracing::info!("stopped");
    Ok(())
}

async fn open(settings: Settings, ffmpeg: Option<PathBuf>, address: String) -> Result<App, Failure> {
    refuse_network_disk(&settings)?;
    let catalog = Arc::new(Catalog::parse(pixel_vendors::CATALOG)?);
    let store = Store::open(&Options {
        data: settings.data.clone(),
        database_url: settings.database.url.as_ref().map(|url| url.reveal().to_owned()),
        pool_size: settings.database.pool_size,
        lease: settings.engine.lease,
    })
    .await?;
    let blobs = Blobs::open(&settings.blobs)?;
    let guard = Guard::new(&settings.fetch.allow)?;
    let fetcher = Fetcher::new(guard.clone(), blobs.clone())?;
    let door = Door::new(blobs.clone(), DoorLimits::default())?;
    let adapters = pixel_vendors::all();
    let spoken =
        catalog.models.iter().filter(|card| adapters.iter().any(|a| a.id() == card.provider && a.speaks(card)));
    let spoken: HashSet<ModelId> = spoken.filter_map(|card| ModelId::parse(&card.id())).collect();
    let lanes = adapters.into_iter().filter_map(|adapter| {
        let card = catalog.vendor(adapter.id())?;
        lane(adapter, card, &settings)
    });
    let (lanes, options) = (lanes.collect(), engine_options(&settings, ffmpeg));
    let engine = Engine::new(store, blobs, Arc::clone(&catalog), door, fetcher, lanes, options).await?;
    Ok(App { engine, catalog, guard, writer: pixel_vendors::writer(), spoken, metrics: recorder()?, address, settings })
}

/// SQLite's locks and flushes do not hold on a network file system.
fn refuse_network_disk(settings: &Settings) -> Result<(), Failure> {
    let kind = filesystem::kind_of(filesystem::existing(&settings.data)).filter(|kind| filesystem::is_network(kind));
    match kind {
        Some(kind) if settings.database.url.is_none() => Err(format!(
            "the data folder {} lies on a network file system ({kind}), where SQLite can lose what it has promised. \
             Choose a local folder with --data, or set DATABASE_URL to a PostgreSQL.",
            settings.data.display()
        )
        .into()),
        _ => Ok(()),
    }
}

/// A vendor without a credential has a lane all the same: tasks that it was given before wait.
fn lane(vendor: Arc<dyn pixel_core::vendor::Vendor>, card: &VendorCard, settings: &Settings) -> Option<LaneOptions> {
    let own = settings.vendors.get(&card.id)?;
    // Local work fills a core each; a network vendor is limited by its budget alone.
    let is_local = card.key_env.is_empty();
    let runs_max = if is_local { settings.engine.local_jobs * 2 } else { settings.engine.calls_max };
    let budget = Budget { concurrency: own.concurrency, rate_per_min: own.rate_per_min };
    let (credential, base_url) = (own.credential.clone(), own.base_url.clone());
    Some(LaneOptions { vendor, credential, base_url, budget, runs_max })
}

fn engine_options(settings: &Settings, ffmpeg: Option<PathBuf>) -> EngineOptions {
    let policy = |policy: &HoldPolicy| match policy {
        HoldPolicy::Hold => pixel_engine::HoldPolicy::Hold,
        HoldPolicy::Lost => pixel_engine::HoldPolicy::Lost,
        HoldPolicy::PayAgain => pixel_engine::HoldPolicy::PayAgain,
    };
    let hold = &settings.hold;
    EngineOptions {
        calls_max: settings.engine.calls_max,
        local_jobs: settings.engine.local_jobs,
        decodes: DECODES,
        poll_min: settings.engine.poll_min,
        hold: HoldRules {
            length: hold.time,
            policy: policy(&hold.policy),
            projects: hold.projects.iter().map(|(id, p)| (id.clone(), policy(p))).collect(),
        },
        patience: PATIENCE,
        retention: settings.retention,
        media: MediaLimits {
            image_bytes: settings.limits.image_bytes,
            video_bytes: settings.limits.video_bytes,
            audio_bytes: settings.limits.audio_bytes,
            ..MediaLimits::default()
        },
        ffmpeg,
    }
}

fn recorder() -> Result<metrics_exporter_prometheus::PrometheusHandle, Failure> {
    const SECONDS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
    let builder = PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), SECONDS)?;
    Ok(builder.install_recorder()?)
}

/// Says where the server is: a line on standard output for programs, the rest in the log.
fn announce(app: &App, address: &str) -> Result<(), Failure> {
    if let Some(why) = &app.settings.sandbox_reason {
        tracing::warn!("SANDBOX MODE ({why}): every model is answered by the sandbox; results are samples");
    }
    tracing::info!(address, docs = format!("{address}/docs"), "ready");
    let mut out = std::io::stdout().lock();
    writeln!(out, "Pixel is ready on {address}")?;
    out.flush()?;
    Ok(())
}

/// Sorts what was measured into its histograms: until then every single value stays in memory.
async fn digest(metrics: metrics_exporter_prometheus::PrometheusHandle) {
    let mut tick = tokio::time::interval(DIGEST_EVERY);
    loop {
        tick.tick().await;
        metrics.run_upkeep();
    }
}

/// Removes what crashes left in staging.
async fn sweep(blobs: Blobs) {
    // Not at once: after a long stop, live tasks first take up what they had staged.
    let every = STAGING_MAX / 4;
    let mut tick = tokio::time::interval_at(tokio::time::Instant::now() + every, every);
    loop {
        tick.tick().await;
        let blobs = blobs.clone();
        match tokio::task::spawn_blocking(move || blobs.sweep(STAGING_MAX)).await {
            Ok(Ok(0)) => {}
            Ok(Ok(removed)) => tracing::info!(removed, "abandoned staging files were removed"),
            Ok(Err(error)) => tracing::warn!(%error, "the staging folder cannot be swept"),
            Err(error) => tracing::warn!(%error, "the sweep failed"),
        }
    }
}
