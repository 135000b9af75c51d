//! What the submission's own SQL declares, found once a run by a scratch server in the background.

use std::sync::{Arc, OnceLock};

use tokio::sync::watch;

use super::table::Table;
use crate::notice::Reason;
use crate::text::Text;

/// What a database should hold.
#[derive(Clone, Debug)]
pub enum Declaration {
    /// As the scripts left it on an empty server.
    Tables {
        tables: Vec<Table>,
        /// Their paths in the submission; empty where a shell script or the image itself fills the database.
        scripts: Vec<String>,
        /// The schema that was made up for scripts that name none.
        made_up: Option<String>,
    },
    /// The submission has no SQL: what is there before the first visit is what is judged.
    Nothing,
    /// The server that was asked for refuses the scripts.
    Broken(Text),
    /// It could not be found out.
    Unknown { reason: Reason, text: Text },
}

/// A declaration on its way. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Declaring(Arc<OnceLock<watch::Receiver<Option<Arc<Declaration>>>>>);

impl Declaring {
    /// Starts finding it out, if nobody has; the work goes on whoever waits for it.
    pub fn start<F>(&self, work: F)
    where
        F: Future<Output = Declaration> + Send + 'static,
    {
        self.0.get_or_init(|| {
            let (tell, told) = watch::channel(None);
            tokio::spawn(async move {
                let found = work.await;
                tell.send_replace(Some(Arc::new(found)));
            });
            told
        });
    }

    /// The declaration, when it is there. `None` where it was never started, or its work was lost.
    pub async fn get(&self) -> Option<Arc<Declaration>> {
        let mut told = self.0.get()?.clone();
        let found = told.wait_for(Option::is_some).await.ok()?;
        found.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_is_found_once_for_all_who_wait() {
        let declaring = Declaring::default();
        assert!(declaring.get().await.is_none());
        declaring.start(async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            Declaration::Nothing
        });
        declaring.start(async { panic!("a second time") });
        // One who gives up does not end the work.
        let early = tokio::time::timeout(Duration::from_secs(1), declaring.get()).await;
        assert!(early.is_err());
        assert!(matches!(*declaring.get().await.unwrap(), Declaration::Nothing));
    }

    #[tokio::test]
    async fn lost_work_is_no_answer() {
        let declaring = Declaring::default();
        declaring.start(async { panic!("lost on purpose") });
        assert!(declaring.get().await.is_none());
    }
}
