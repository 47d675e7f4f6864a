//! Runs the server until it is told to stop.

use crate::{
    api::{self, App, Polls},
    bucket,
    config::{HoldPolicy, Settings},
    filesystem,
    people::People,
    signals::{End, Signals},
};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
use pixel_core::{
    catalog::{Catalog, Model, VendorCard},
    id::ModelId,
    vendor::Vendor,
};
use pixel_engine::{
    ChatLimits, Engine, EngineOptions, HoldRules, LaneOptions,
    door::{Door, DoorLimits},
    fetch::Fetcher,
    guard::Guard,
    media::MediaLimits,
};
use pixel_store::{Budget, Options, Store, blobs::Blobs, crash};
use std::{
    collections::HashSet,
    error::Error,
    future::IntoFuture,
    io::Write,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

type Failure = Box<dyn Error + Send + Sync>;

/// How often an object store that failed is tried again with what it did not take.
const SETTLE_EVERY: Duration = Duration::from_secs(5);
/// How often the figures of requests are sorted in; between two scrapes they would only grow.
const DIGEST_EVERY: Duration = Duration::from_secs(1);
/// How often counts of polls are written; a kill loses so much of them.
const POLLS_EVERY: Duration = Duration::from_secs(2);
/// How long a task may wait for a vendor that cannot take it.
const PATIENCE: Duration = Duration::from_secs(24 * 3600);
/// Pictures decoded at the same time: each may take hundreds of megabytes.
const DECODES: usize = 4;

/// Programs beside this one.
pub struct Programs {
    /// Makes posters of clips that their vendors send without one.
    pub ffmpeg: Option<PathBuf>,
    /// Variables that the browser's process may see.
    pub browser: Vec<(String, String)>,
}

pub async fn serve(settings: Settings, catalog: Catalog, programs: Programs) -> Result<(), Failure> {
    let mut signals = Signals::listen()?;
    let listener = TcpListener::bind(settings.listen).await.map_err(|error| {
        format!("cannot listen on {}: {error}. Is another server running there? Choose with --listen.", settings.listen)
    })?;
    let address = format!("http://{}", listener.local_addr()?);
    let (shutdown, staging) = (settings.shutdown, settings.engine.staging);
    if let Some(point) = &settings.crash_at {
        crash::arm(&point.name, point.at_hit)?;
    }
    crash::point!("start.bound");
    let people = CancellationToken::new();
    let _people = people.clone().drop_guard();
    let app = Arc::new(open(settings, catalog, programs, address.clone(), people).await?);
    crash::point!("start.opened");
    app.engine.start();
    crash::point!("start.claiming");
    let blobs = app.engine.blobs();
    let chores = [
        tokio::spawn(sweep(blobs.clone(), staging)),
        tokio::spawn(settle(blobs.clone())),
        tokio::spawn(digest(app.metrics.clone())),
        tokio::spawn(count_polls(Arc::clone(&app))),
    ];
    announce(&app, &address)?;

    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = axum::serve(listener, api::router(Arc::clone(&app)))
        .with_graceful_shutdown(async {
            // A closed channel means the same as a word on it.
            let _ = stopped.await;
        })
        .into_future();
    let serving = tokio::spawn(serving);
    // Whoever presses Ctrl-C does not want to wait.
    if signals.next().await == End::Terminate && !app.settings.drain.is_zero() {
        drain(&app, &mut signals).await;
    }
    tracing::info!("stopping");
    crash::point!("stop.begun");
    let _ = stop.send(());
    // Requests, work and the writer share the time: the writer must have the last of it.
    let share = shutdown.mul_f64(0.8);
    let drained = tokio::time::timeout(share, serving);
    let ((), _) = tokio::join!(app.engine.stop(share), drained);
    chores.iter().for_each(tokio::task::JoinHandle::abort);
    app.polls.write(app.engine.store()).await;
    crash::point!("stop.drained");
    if tokio::time::timeout(shutdown.mul_f64(0.2), app.engine.store().close()).await.is_err() {
        tracing::warn!("the database did not close in time; it recovers at the next start");
    }
    crash::point!("stop.closed");
    tracing::info!("stopped");
    Ok(())
}

/// Takes requests as before and says that it soon will not, until the time is over or another signal comes.
async fn drain(app: &App, signals: &mut Signals) {
    let time = app.settings.drain;
    tracing::info!(seconds = time.as_secs(), "draining: /readyz says 503, requests are still taken");
    app.draining.store(true, Ordering::Relaxed);
    // Either way the draining is over.
    let _ = tokio::time::timeout(time, signals.next()).await;
}

async fn open(
    settings: Settings,
    catalog: Catalog,
    programs: Programs,
    address: String,
    stopping: CancellationToken,
) -> Result<App, Failure> {
    filesystem::refuse_network_disk(&settings)?;
    let catalog = Arc::new(catalog);
    let store = Store::open(&Options {
        data: settings.data.clone(),
        database_url: settings.database.url.as_ref().map(|url| url.reveal().to_owned()),
        pool_size: settings.database.pool_size,
        lease: settings.engine.lease,
    })
    .await?;
    let blobs = open_blobs(&settings).await?;
    let guard = Guard::new(&settings.fetch.allow)?;
    let fetcher = Fetcher::new(guard.clone(), blobs.clone())?;
    let door = Door::new(blobs.clone(), DoorLimits::default())?;
    let adapters = pixel_vendors::adapters();
    let adapter_of = |card: &VendorCard| adapters.iter().find(|adapter| adapter.id() == card.adapter());
    let speaks = |a: &dyn Vendor, card: &Model| a.speaks(card) || a.chat(card).is_some();
    let is_spoken = |card: &&Model| {
        let adapter = catalog.vendor(&card.provider).and_then(adapter_of);
        adapter.is_some_and(|adapter| speaks(adapter.as_ref(), card))
    };
    let spoken = catalog.models.iter().filter(is_spoken);
    let spoken: HashSet<ModelId> = spoken.filter_map(|card| ModelId::parse(&card.id())).collect();
    let people = People { store: store.clone(), door: door.clone(), browser: programs.browser, stopping };
    let lanes = catalog.vendors.iter().filter_map(|card| lane(Arc::clone(adapter_of(card)?), card, &settings, &people));
    let (lanes, options) = (lanes.collect::<Result<_, _>>()?, engine_options(&settings, programs.ffmpeg));
    let engine = Engine::new(store, blobs, Arc::clone(&catalog), door, fetcher, lanes, options).await?;
    Ok(App {
        engine,
        catalog,
        guard,
        writer: pixel_vendors::writer(),
        spoken,
        metrics: recorder()?,
        address,
        settings,
        draining: AtomicBool::default(),
        polls: Polls::default(),
    })
}

async fn open_blobs(settings: &Settings) -> Result<Blobs, Failure> {
    let Some(bucket) = &settings.bucket else { return Ok(Blobs::open(&settings.blobs)?) };
    Ok(Blobs::open_bucket(&settings.blobs, bucket::checked(bucket).await?)?)
}

/// A vendor without a credential has a lane all the same: tasks that it was given before wait.
fn lane(
    vendor: Arc<dyn Vendor>,
    card: &VendorCard,
    settings: &Settings,
    people: &People,
) -> Option<Result<LaneOptions, String>> {
    let own = settings.vendors.get(&card.id)?;
    // Local work fills a core each; a network vendor is limited by its budget alone.
    let is_local = !card.is_remote();
    let runs_max = if is_local { settings.engine.local_jobs * 2 } else { settings.engine.calls_max };
    let budget = Budget { concurrency: own.concurrency, rate_per_min: own.rate_per_min };
    let accounts: Result<Vec<_>, String> =
        own.accounts.iter().map(|own| people.account(settings, &vendor, &card.id, own)).collect();
    Some(accounts.map(|accounts| LaneOptions { id: card.id.clone(), vendor, accounts, budget, runs_max }))
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
        chats_max: settings.chat.calls_max,
        chat: ChatLimits {
            first_byte: settings.chat.first,
            idle: settings.chat.idle,
            total: settings.chat.total,
            ..ChatLimits::default()
        },
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

/// Writes how often clips were asked after.
async fn count_polls(app: Arc<App>) {
    let mut tick = tokio::time::interval(POLLS_EVERY);
    loop {
        tick.tick().await;
        app.polls.write(app.engine.store()).await;
    }
}

/// Removes what crashes left in staging: files that nobody has touched for `staging`.
async fn sweep(blobs: Blobs, staging: Duration) {
    // Not at once: after a long stop, live tasks first take up what they had staged.
    let every = staging / 4;
    let mut tick = tokio::time::interval_at(tokio::time::Instant::now() + every, every);
    loop {
        tick.tick().await;
        crash::point!("sweep.begun");
        let swept = blobs.sweep(staging, PATIENCE * 2).await;
        crash::point!("sweep.removed");
        match swept {
            Ok(0) => {}
            Ok(removed) => tracing::info!(removed, "abandoned staged files and uploads were removed"),
            Err(error) => tracing::warn!(%error, "what is abandoned cannot be swept"),
        }
    }
}

/// Takes results that an outage of the object store left on this disk alone to safety.
async fn settle(blobs: Blobs) {
    let mut tick = tokio::time::interval(SETTLE_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while blobs.is_shared() {
        tick.tick().await;
        match blobs.settle().await {
            Ok(0) => {}
            Ok(settled) => tracing::info!(settled, "the object store has taken what it missed"),
            Err(error) => tracing::debug!(%error, "the object store does not take what it missed yet"),
        }
    }
}
