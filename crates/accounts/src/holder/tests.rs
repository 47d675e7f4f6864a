//! A holder over a real database. The browser and the vendor follow a script.

use super::*;
use crate::sign_in::Outcome;
use pixel_core::{Error, ErrorKind};
use pixel_store::{AccountRow, Options};
use pixel_testkit::{postgres::Cluster, wait};
use std::{collections::BTreeSet, path::Path};

const LIMIT: Duration = Duration::from_secs(20);
const LIMITS: SignInLimits = SignInLimits { gap: Duration::from_millis(1), a_day: 3, lease: Duration::from_secs(120) };

/// Signs in as told, and takes the tokens that it gave; the last of them only, as the vendor does.
#[derive(Default)]
struct Script(Mutex<Told>);

#[derive(Default)]
struct Told {
    outcomes: Vec<Outcome>,
    sign_ins: usize,
    good: BTreeSet<String>,
    trouble: Option<SessionTrouble>,
}

impl Script {
    fn told(&self) -> MutexGuard<'_, Told> {
        self.0.lock().unwrap()
    }

    fn sign_ins(&self) -> usize {
        self.told().sign_ins
    }

    /// Ends every session; what is said of one that is over.
    fn end_all(&self, trouble: SessionTrouble) {
        let mut told = self.told();
        told.good.clear();
        told.trouble = Some(trouble);
    }
}

impl SignIn for Script {
    fn sign_in<'a>(&'a self, _page: &'a Page, login: &'a Login) -> BoxFuture<'a, Outcome> {
        assert!(login.can_sign_in());
        Box::pin(async {
            tokio::task::yield_now().await;
            let mut told = self.told();
            told.sign_ins += 1;
            if !told.outcomes.is_empty() {
                return told.outcomes.remove(0);
            }
            let token = format!("planted-token-{}", told.sign_ins);
            told.good = [token.clone()].into();
            Outcome::SignedIn(Secret::new(token))
        })
    }
}

impl Trial for Script {
    fn of<'a>(&'a self, token: &'a Secret) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async {
            let told = self.told();
            match told.good.contains(token.reveal()) {
                true => Ok(()),
                false => Err(Error::new(ErrorKind::VendorAuth, "The vendor does not accept the session.")
                    .with_session(Some(told.trouble.unwrap_or(SessionTrouble::Expired)))),
            }
        })
    }
}

struct Rig {
    folder: tempfile::TempDir,
    store: Store,
    script: Arc<Script>,
}

impl Rig {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path(), None).await;
        Self { folder, store, script: Arc::default() }
    }

    /// Another server of the same database, with a key of its own.
    async fn beside(&self, database_url: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path(), Some(database_url.to_owned())).await;
        Self { folder, store, script: Arc::clone(&self.script) }
    }

    fn start(&self, login: Login) -> Holder {
        self.start_with(login, LIMITS)
    }

    fn start_with(&self, login: Login, limits: SignInLimits) -> Holder {
        self.start_on(true, login, limits)
    }

    fn start_on(&self, headless: bool, login: Login, limits: SignInLimits) -> Holder {
        let office = Office {
            store: self.store.clone(),
            sealer: Arc::new(Sealer::open(None, self.folder.path()).unwrap()),
            sign_in: Arc::clone(&self.script) as Arc<dyn SignIn>,
            trial: Arc::clone(&self.script) as Arc<dyn Trial>,
            limits,
            stopping: CancellationToken::new(),
        };
        let page = Page { login_url: "http://127.0.0.1:9/login".to_owned(), headless, chromium: None };
        let (id, vendor, name) = ("acc".to_owned(), "acme".to_owned(), "ACME_EMAIL".to_owned());
        Holder::start(office, Order { id, vendor, name, login, page })
    }

    async fn row(&self) -> AccountRow {
        self.store.account("acc").await.unwrap().unwrap()
    }
}

async fn open(data: &Path, database_url: Option<String>) -> Store {
    let options = Options { data: data.to_owned(), database_url, pool_size: 2, lease: Duration::from_secs(5) };
    Store::open(&options).await.unwrap()
}

fn login() -> Login {
    let secret = |text: &str| Some(Secret::new(text));
    Login { username: secret("holder@example.org"), password: secret("planted-password"), token: None }
}

fn pasted(token: &str) -> Login {
    Login { token: Some(Secret::new(token)), ..Login::default() }
}

async fn ready(holder: &Holder) -> Issued {
    let look = || async { (holder.standing() == Standing::Ready).then(|| holder.issued()).flatten() };
    wait::until("the account is ready", LIMIT, look).await
}

async fn parked(holder: &Holder) -> String {
    let look = || async {
        match holder.standing() {
            Standing::Parked { why, .. } => Some(why),
            _ => None,
        }
    };
    wait::until("the account is parked", LIMIT, look).await
}

fn token_of(issued: &Issued) -> &str {
    issued.credential.0[0].reveal()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_signed_in_to_once_and_kept_over_a_restart() {
    let rig = Rig::new().await;
    let first = rig.start(login());
    assert_eq!(token_of(&ready(&first).await), "planted-token-1");
    let row = rig.row().await;
    assert!(row.token.as_ref().is_some_and(|sealed| !sealed.contains("planted")), "{row:?}");
    let again = rig.start(login());
    assert_eq!(token_of(&ready(&again).await), "planted-token-1");
    assert_eq!(rig.script.sign_ins(), 1);
    for entry in std::fs::read_dir(rig.folder.path()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        assert!(!bytes.windows(7).any(|piece| piece == b"planted"), "{} holds a secret", path.display());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_session_is_renewed_once_for_all_who_report_it() {
    let rig = Rig::new().await;
    let holder = rig.start(login());
    let old = ready(&holder).await;
    rig.script.end_all(SessionTrouble::Expired);
    let reports = (0..20).map(|_| {
        let (holder, serial) = (holder.clone(), old.serial);
        tokio::spawn(async move { holder.refused(serial, SessionTrouble::Expired, "over") })
    });
    futures_util::future::join_all(reports).await;
    let new = ready(&holder).await;
    assert_eq!((rig.script.sign_ins(), token_of(&new)), (2, "planted-token-2"));
    // Who comes late with the old one, whatever it was told of it, changes nothing.
    for trouble in [SessionTrouble::Expired, SessionTrouble::Evicted, SessionTrouble::Blocked] {
        holder.refused(old.serial, trouble, "over");
    }
    assert_eq!((ready(&holder).await.serial, rig.script.sign_ins()), (new.serial, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_eviction_parks_and_only_its_holder_lifts_it() {
    let rig = Rig::new().await;
    let holder = rig.start(login());
    let old = ready(&holder).await;
    rig.script.end_all(SessionTrouble::Evicted);
    holder.refused(old.serial, SessionTrouble::Evicted, "elsewhere");
    assert!(parked(&holder).await.contains("signed in elsewhere"));
    holder.refused(old.serial, SessionTrouble::Expired, "late");
    let again = rig.start(login());
    parked(&again).await;
    assert_eq!((rig.script.sign_ins(), rig.row().await.parked.as_deref()), (1, Some("evicted")), "never fought");
    assert_eq!(again.check().await.0, Verdict::Good, "its holder has agreed");
    assert_eq!((token_of(&ready(&again).await), rig.script.sign_ins()), ("planted-token-2", 2));
    assert_eq!(rig.row().await.parked, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_by_another_server_is_no_eviction() {
    let rig = Rig::new().await;
    let (here, there) = (rig.start(login()), rig.start(login()));
    let (old, same) = (ready(&here).await, ready(&there).await);
    assert_eq!((old.serial, rig.script.sign_ins()), (same.serial, 1));
    rig.script.end_all(SessionTrouble::Expired);
    there.refused(same.serial, SessionTrouble::Expired, "over");
    assert_eq!(ready(&there).await.serial, old.serial + 1);
    here.refused(old.serial, SessionTrouble::Evicted, "elsewhere");
    assert_eq!((token_of(&ready(&here).await), rig.script.sign_ins()), ("planted-token-2", 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_read_the_token_parks_for_itself_alone() {
    let cluster = Cluster::start();
    let url = cluster.database();
    let rig = Rig::new().await;
    let (here, there) = (rig.beside(&url).await, rig.beside(&url).await);
    let good = here.start(login());
    ready(&good).await;
    let row = here.row().await;
    let blind = there.start(login());
    assert!(parked(&blind).await.contains("another key"));
    let same = here.row().await;
    assert_eq!((same.parked, same.serial, same.token), (None, row.serial, row.token), "nothing is written");
    assert_eq!((good.standing(), rig.script.sign_ins()), (Standing::Ready, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_a_person_parks_and_is_tried_once() {
    let rig = Rig::new().await;
    let message = "It asks for a code sent to holder@example.org.".to_owned();
    rig.script.told().outcomes = vec![Outcome::NeedsAttention { word: "verification".to_owned(), message }];
    let holder = rig.start(login());
    let why = parked(&holder).await;
    assert!(why.contains("asks for a code") && !why.contains("holder@"), "{why}");
    assert_eq!((rig.script.sign_ins(), rig.row().await.parked.as_deref()), (1, Some("verification")));
    assert_eq!(holder.check().await.0, Verdict::Good);
    assert_eq!(rig.script.sign_ins(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_fails_is_started_again_within_the_limits() {
    let rig = Rig::new().await;
    let failed = || Outcome::Failed("it crashed".to_owned());
    rig.script.told().outcomes = vec![failed(), failed(), failed(), failed()];
    let holder = rig.start(login());
    let why = parked(&holder).await;
    assert!(why.contains("3 sign-ins today"), "{why}");
    assert_eq!(rig.script.sign_ins(), 3);
    let checked = tokio::time::timeout(LIMIT, holder.check()).await.expect("no wait for tomorrow");
    assert_eq!(checked, (Verdict::Refused, why), "not that a sign-in is under way");

    let slow = Rig::new().await;
    slow.script.told().outcomes = vec![failed()];
    let holder = slow.start_with(login(), SignInLimits { gap: Duration::from_secs(60), ..LIMITS });
    let look = || async { (slow.script.sign_ins() == 1 && !slow.row().await.is_signing_in).then_some(()) };
    wait::until("the first one fails", LIMIT, look).await;
    tokio::time::sleep(LOOK * 2).await;
    assert_eq!((slow.script.sign_ins(), holder.issued().is_some()), (1, false), "a minute apart");
    assert!(matches!(holder.standing(), Standing::Renewing(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_that_never_began_is_none_of_the_three() {
    let rig = Rig::new().await;
    let idle = || Outcome::NeverBegan("there is no Chromium on this machine".to_owned());
    rig.script.told().outcomes = (0..5).map(|_| idle()).collect();
    let holder = rig.start(login());
    assert_eq!((token_of(&ready(&holder).await), rig.script.sign_ins()), ("planted-token-6", 6));

    let slow = Rig::new().await;
    slow.script.told().outcomes = vec![idle()];
    let holder = slow.start_with(login(), SignInLimits { gap: Duration::from_secs(60), ..LIMITS });
    assert!(parked(&holder).await.contains("no Chromium"));
    tokio::time::sleep(LOOK * 2).await;
    assert!(parked(&holder).await.contains("no Chromium") && slow.script.sign_ins() == 1, "a minute apart");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pasted_token_needs_no_browser_and_a_newer_one_replaces_it() {
    let rig = Rig::new().await;
    rig.script.told().good = ["pasted-1".to_owned()].into();
    let holder = rig.start(pasted("pasted-1"));
    assert_eq!(token_of(&ready(&holder).await), "pasted-1");
    rig.script.end_all(SessionTrouble::Expired);
    holder.refused(holder.issued().unwrap().serial, SessionTrouble::Expired, "over");
    assert!(parked(&holder).await.contains("pasted token"));
    assert_eq!(holder.check().await.0, Verdict::Refused);
    rig.script.told().good = ["pasted-2".to_owned()].into();
    let again = rig.start(pasted("pasted-2"));
    assert_eq!(token_of(&ready(&again).await), "pasted-2");
    assert_eq!((rig.script.sign_ins(), rig.row().await.parked), (0, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_pasted_token_is_not_taken_for_a_new_one() {
    let rig = Rig::new().await;
    rig.script.told().good = ["pasted-1".to_owned()].into();
    let both = |token: &str| Login { token: Some(Secret::new(token)), ..login() };
    let holder = rig.start(both("pasted-1"));
    let old = ready(&holder).await;
    rig.script.end_all(SessionTrouble::Expired);
    holder.refused(old.serial, SessionTrouble::Expired, "over");
    let new = ready(&holder).await;
    assert_eq!((token_of(&old), token_of(&new)), ("pasted-1", "planted-token-1"));
    let shown = rig.start_on(false, both("pasted-1"), LIMITS);
    let kept = ready(&shown).await;
    assert_eq!((token_of(&kept), kept.serial), ("planted-token-1", new.serial));
    rig.script.told().good = ["pasted-2".to_owned()].into();
    assert_eq!(token_of(&ready(&rig.start_on(false, both("pasted-2"), LIMITS)).await), "pasted-2");
    assert_eq!(rig.script.sign_ins(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn three_refusals_of_contents_in_a_day_spare_the_account() {
    let rig = Rig::new().await;
    let holder = rig.start(login());
    ready(&holder).await;
    (0..2).for_each(|_| holder.moderated());
    assert_eq!(holder.standing_to_pay(), Standing::Ready);
    holder.moderated();
    let spared = holder.standing_to_pay();
    let is_told = |why: &str, wait: Duration| why.contains("until tomorrow") && wait <= PARKED_LOOK;
    assert!(matches!(&spared, Standing::Parked { why, wait } if is_told(why, *wait)), "{spared:?}");
    assert_eq!(holder.standing(), Standing::Ready, "what was accepted is asked for");
    assert_eq!(holder.check().await.0, Verdict::Good, "a person has looked at it");
    assert_eq!(holder.standing_to_pay(), Standing::Ready);
}
