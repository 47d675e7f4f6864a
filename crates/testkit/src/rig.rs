//! What one test has: the binary, a database of its own, a folder of its own.

use crate::{
    Stub, isolation,
    postgres::Cluster,
    server::{Db, Launch},
    stub,
};
use std::{
    future::Future,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

/// On what a test runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows {
    Sqlite,
    Postgres,
}

/// The things of one test. The order of the fields is the order in which they go.
pub struct Rig {
    binary: PathBuf,
    db: Db,
    pub cluster: Option<Cluster>,
    home: TempDir,
}

impl Rig {
    pub fn new(binary: impl Into<PathBuf>, rows: Rows) -> Self {
        let home = tempfile::Builder::new().prefix("pixel-rig-").tempdir().expect("a temporary folder can be made");
        let cluster = (rows == Rows::Postgres).then(Cluster::start);
        let db = cluster.as_ref().map_or(Db::Sqlite, |cluster| Db::Postgres(cluster.database()));
        Self { binary: binary.into(), db, cluster, home }
    }

    pub fn binary(&self) -> &Path {
        &self.binary
    }

    pub fn db(&self) -> &Db {
        &self.db
    }

    pub fn is_sqlite(&self) -> bool {
        self.db == Db::Sqlite
    }

    /// A folder that goes with the test.
    pub fn folder(&self) -> &Path {
        self.home.path()
    }

    /// A server without any vendor key: everything is the sandbox's.
    pub fn server(&self) -> Launch {
        self.replica("server")
    }

    /// A server with a home of its own, over the test's one database and data folder.
    pub fn replica(&self, name: &str) -> Launch {
        let home = self.home.path().join(name);
        std::fs::create_dir_all(&home).expect("the test's folder can be written");
        Launch::new(&self.binary, &home).data(&self.home.path().join("data")).db(self.db.clone())
    }
}

/// The variables that hold vendors' keys, and those of the second parts.
const KEYS: [&str; 10] = [
    "ARK_API_KEY",
    "DASHSCOPE_API_KEY",
    "KLING_API_KEY",
    "MINIMAX_API_KEY",
    "MODELSCOPE_API_KEY",
    "OPENAI_API_KEY",
    "OPENAI_VIDEOS_API_KEY",
    "PIXVERSE_API_KEY",
    "VOLC_ACCESSKEY",
    "VOLC_TTS_APP_ID",
];
const SECRETS: [&str; 2] = ["VOLC_SECRETKEY", "VOLC_TTS_ACCESS_TOKEN"];

impl Launch {
    /// Points both real vendors at the stub, which polls and links on loopback.
    pub fn vendors(self, stub: &Stub) -> Self {
        self.env("OPENAI_BASE_URL", stub.openai_base_url())
            .env("OPENAI_API_KEY", stub::KEY)
            .env("DASHSCOPE_BASE_URL", stub.dashscope_base_url())
            .env("DASHSCOPE_API_KEY", stub::KEY)
            .env("PIXEL_FETCH_ALLOW", "127.0.0.1")
            .env("PIXEL_POLL_MIN_MS", "50")
    }

    /// Points every real vendor at the stub, whatever credentials it wants.
    pub fn every_vendor(self, stub: &Stub) -> Self {
        let addresses = stub.base_urls().into_iter().filter(|(name, _)| *name != "LAB_BASE_URL");
        let pointed = addresses.fold(self, |launch, (name, url)| launch.env(name, url));
        let keyed = KEYS.iter().fold(pointed, |launch, name| launch.env(name, stub::KEY));
        let sealed = SECRETS.iter().fold(keyed, |launch, name| launch.env(name, stub::SECRET));
        sealed.env("PIXEL_FETCH_ALLOW", "127.0.0.1").env("PIXEL_POLL_MIN_MS", "50")
    }

    /// Adds to every real vendor a second key that it does not know.
    pub fn wrong_keys(self) -> Self {
        let names = KEYS.iter().chain(&SECRETS);
        names.fold(self, |launch, name| launch.env(&format!("{name}_2"), "no-key-at-all"))
    }

    /// Adds the vendor of our own making, one model for each class of repeat-safety.
    pub fn lab(self, stub: &Stub) -> Self {
        self.env("LAB_BASE_URL", stub.lab_base_url())
            .env("LAB_API_KEY", stub::KEY)
            .env("PIXEL_FETCH_ALLOW", "127.0.0.1")
            .env("PIXEL_POLL_MIN_MS", "50")
    }
}

/// Runs one test in a network of its own. Called by [`on_both`].
pub fn run<F: Future<Output = ()>>(name: &str, binary: &str, rows: Rows, test: impl FnOnce(Rig) -> F) {
    isolation::run(name, || {
        let threads = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        threads.expect("a runtime can be made").block_on(test(Rig::new(binary, rows)));
    });
}

/// Makes of `async fn name(rig: Rig)` two tests, `name::sqlite` and `name::postgres`.
#[macro_export]
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        $(mod $name {
            $crate::on_rows!(sqlite, Sqlite, super::$name);
            $crate::on_rows!(postgres, Postgres, super::$name);
        })+
    };
}

/// Makes of `async fn name(rig: Rig)` one test, `name::sqlite`.
#[macro_export]
macro_rules! on_sqlite {
    ($($name:ident),+ $(,)?) => {
        $(mod $name {
            $crate::on_rows!(sqlite, Sqlite, super::$name);
        })+
    };
}

/// Makes of `async fn name(rig: Rig)` one test, `name::postgres`.
#[macro_export]
macro_rules! on_postgres {
    ($($name:ident),+ $(,)?) => {
        $(mod $name {
            $crate::on_rows!(postgres, Postgres, super::$name);
        })+
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! on_rows {
    ($test:ident, $rows:ident, $body:path) => {
        #[test]
        fn $test() {
            let name = concat!(module_path!(), "::", stringify!($test));
            $crate::rig::run(name, env!("CARGO_BIN_EXE_pixel"), $crate::rig::Rows::$rows, $body);
        }
    };
}
