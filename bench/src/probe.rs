//! The bare servers: the least that a durable create and a read can cost on this machine.
//!
//! They answer Pixel's own paths, so that the same load meets them. A create is one row, written by
//! one writer that shares a flushed commit among all that wait (group commit).

use crate::{Result, args::Probe};
use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::{get, post},
};
use serde_json::{Value, json};
use sqlx::{
    ConnectOptions, Connection, PgConnection, PgPool, QueryBuilder, Sqlite, SqliteConnection, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use std::{
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::sync::{mpsc, oneshot};

const TABLE: &str = "CREATE TABLE tasks (id TEXT NOT NULL PRIMARY KEY, body TEXT NOT NULL)";
const READ: &str = "SELECT body FROM tasks WHERE id = $1";
/// Rows of one commit, at most.
const BATCH_MAX: usize = 512;

/// A row that waits for its commit.
struct Pending {
    id: String,
    body: String,
    written: oneshot::Sender<()>,
}

enum Writer {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

enum Reader {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

struct Store {
    next: AtomicU64,
    inbox: mpsc::Sender<Pending>,
    reader: Reader,
}

pub fn serve(options: &Probe) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let (writer, reader) = open(options).await?;
        let (inbox, waiting) = mpsc::channel(4096);
        let store = Arc::new(Store { next: AtomicU64::new(1), inbox, reader });
        let router = Router::new()
            .route("/readyz", get(async || "ready"))
            .route("/hello", get(async || "hello"))
            .route("/api/v1/generations/image", post(create))
            .route("/api/v1/tasks/{id}", get(read))
            .with_state(store);
        let listener = tokio::net::TcpListener::bind(&options.listen).await?;
        // The words by which Pixel says so too.
        let mut out = std::io::stdout();
        writeln!(out, "Pixel is ready on http://{}", listener.local_addr()?)?;
        out.flush()?;
        tokio::select! {
            ended = axum::serve(listener, router).into_future() => Ok(ended?),
            ended = write(writer, waiting) => ended,
        }
    })
}

async fn open(options: &Probe) -> Result<(Writer, Reader)> {
    if let Some(url) = &options.database {
        let mut writer = PgConnection::connect(url).await?;
        sqlx::query(TABLE).execute(&mut writer).await?;
        return Ok((Writer::Postgres(writer), Reader::Postgres(PgPool::connect(url).await?)));
    }
    let file = SqliteConnectOptions::new()
        .filename(options.data.join("probe.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .statement_cache_capacity(BATCH_MAX);
    let mut writer = file.connect().await?;
    sqlx::query(TABLE).execute(&mut writer).await?;
    Ok((Writer::Sqlite(writer), Reader::Sqlite(SqlitePool::connect_with(file).await?)))
}

async fn write(mut writer: Writer, mut inbox: mpsc::Receiver<Pending>) -> Result<()> {
    let mut waiting = Vec::with_capacity(BATCH_MAX);
    while inbox.recv_many(&mut waiting, BATCH_MAX).await > 0 {
        let (ids, bodies): (Vec<&str>, Vec<&str>) = waiting.iter().map(|row| (&*row.id, &*row.body)).unzip();
        match &mut writer {
            Writer::Postgres(connection) => {
                let insert = sqlx::query("INSERT INTO tasks SELECT * FROM unnest($1::text[], $2::text[])");
                insert.bind(ids).bind(bodies).execute(connection).await?;
            }
            Writer::Sqlite(connection) => {
                let mut insert = QueryBuilder::<Sqlite>::new("INSERT INTO tasks ");
                insert.push_values(ids.into_iter().zip(bodies), |mut row, (id, body)| {
                    row.push_bind(id).push_bind(body);
                });
                insert.build().execute(connection).await?;
            }
        }
        for row in waiting.drain(..) {
            // A caller that hung up does not want its answer.
            let _ = row.written.send(());
        }
    }
    Ok(())
}

async fn create(
    State(store): State<Arc<Store>>,
    Json(body): Json<Value>,
) -> std::result::Result<Json<Value>, StatusCode> {
    let id = format!("task_{:027}", store.next.fetch_add(1, Ordering::Relaxed));
    let (written, done) = oneshot::channel();
    let row = Pending { id: id.clone(), body: body.to_string(), written };
    store.inbox.send(row).await.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    done.await.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok(Json(json!({ "code": "200", "message": "success", "data": { "task_id": id } })))
}

async fn read(State(store): State<Arc<Store>>, Path(id): Path<String>) -> std::result::Result<String, StatusCode> {
    let found = match &store.reader {
        Reader::Sqlite(pool) => sqlx::query_scalar(READ).bind(id).fetch_optional(pool).await,
        Reader::Postgres(pool) => sqlx::query_scalar(READ).bind(id).fetch_optional(pool).await,
    };
    found.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?.ok_or(StatusCode::NOT_FOUND)
}
