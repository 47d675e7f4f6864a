//! Calls that cost nothing, as they leave: in their turn, shared with who asks the same, and to
//! links of answers only through the guard.

use crate::{door::Sent, fetch::FetchError, run::Stop, step::Cursor};
use pixel_core::{
    Error, ErrorKind,
    vendor::{Answer, HttpCall, Mark, Next, Reply},
};
use pixel_store::crash;

impl Cursor<'_> {
    /// Sends a free call, or takes part in an equal one.
    pub(crate) async fn exchange(&self, call: &HttpCall) -> Sent {
        let engine = &self.run.engine.0;
        // On the heap: it is handed on twice, and would be as often in the room of every task.
        let send = Box::pin(async {
            // A vendor's polls fall due together; each that waits here is a task and no connection.
            let _turn = match self.run.lane() {
                Ok(lane) => lane.free_calls.acquire().await.ok(),
                Err(_) => None,
            };
            crash::point!("poll.sending");
            engine.door.send(call).await
        });
        let (Some(share), Some(key)) = (&call.share, self.shared_as(call)) else { return send.await };
        // Where polls are made to follow faster, an answer is old sooner.
        let fresh = engine.options.poll_min.map_or(share.fresh, |poll| poll.min(share.fresh));
        engine.shared.ask(key, fresh, self.slot.accepted_at.unwrap_or_default(), send).await
    }

    /// By what the call is equal to others.
    fn shared_as(&self, call: &HttpCall) -> Option<String> {
        let (share, (lane, account)) = (call.share.as_ref()?, self.run.account().ok()?);
        let service = lane.options.accounts[account].service.as_deref().unwrap_or_default();
        let key = self.slot.key.as_deref().unwrap_or_default();
        Some([&lane.options.id, service, key, &self.issued.serial.to_string(), &share.key].join("\n"))
    }

    /// A shared call has failed: whoever asks again must not be given that answer.
    pub(crate) fn forget(&self, call: &HttpCall) {
        if let Some(key) = self.shared_as(call) {
            self.run.engine.0.shared.forget(&key);
        }
    }

    /// Looks whether a link leads to anything. `None`: the slot has left.
    pub(crate) async fn probe(&mut self, link: &str, mark: Mark) -> Result<Option<Next>, Stop> {
        self.keep_mark(&mark).await?;
        let answer = match self.run.engine.0.fetcher.probe(link).await {
            Ok(answer) => answer,
            Err(FetchError::Refused(why)) => {
                let message = format!("The vendor's result lies at an address that Pixel does not fetch: {why}");
                return self.fail(Error::new(ErrorKind::ResultUnusable, message)).await.map(|_| None);
            }
            Err(why) => {
                tracing::info!(%why, "the result's link does not answer yet");
                Answer::default()
            }
        };
        match self.ask_next(&mark, &Reply::Answer(answer)) {
            Ok(next) => Ok(Some(next)),
            Err(error) => self.fail(error).await.map(|_| None),
        }
    }
}
