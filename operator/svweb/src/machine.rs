//! What is wrong with the machine as a whole: no svscan, a unit that kills services, limits that are near.

use serde_json::Value;
use std::cell::RefCell;
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// How long findings count as new. The doctor reads all of /proc, and each open page asks.
const FRESH: Duration = Duration::from_secs(10);

/// The last findings about the machine, for all clients.
#[derive(Debug, Default)]
pub(crate) struct Machine {
    last: RefCell<Option<(Instant, Rc<Vec<Value>>)>>,
    turn: Mutex<()>,
}

impl Machine {
    /// The findings: new ones of `examine`, unless the last ones are fresh. `None` if it gives none.
    pub(crate) async fn findings(
        &self,
        examine: impl Future<Output = Option<Vec<Value>>>,
    ) -> Option<Rc<Vec<Value>>> {
        // Clients that come meanwhile wait for the same findings.
        let _turn = self.turn.lock().await;
        if let Some((moment, found)) = &*self.last.borrow()
            && moment.elapsed() < FRESH
        {
            return Some(Rc::clone(found));
        }
        let found = Rc::new(examine.await?);
        *self.last.borrow_mut() = Some((Instant::now(), Rc::clone(&found)));
        Some(found)
    }

    /// The last findings, however old. Without any, an empty list.
    pub(crate) fn last(&self) -> Rc<Vec<Value>> {
        self.last.borrow().as_ref().map(|(_, found)| Rc::clone(found)).unwrap_or_default()
    }
}

/// Whether a finding is a fault, and not a warning.
pub(crate) fn is_error(finding: &Value) -> bool {
    finding["severity"] == "error"
}
