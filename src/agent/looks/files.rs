//! Small files as the agent's place has them: cgroup counters, hosts files. One that is not there is left out.

use tokio::io::AsyncReadExt;

use super::{Bounds, Sight};

/// More than any counter needs; a file that is larger is cut.
const MAX_BYTES: u64 = 256 * 1024;

pub(super) async fn look(paths: Vec<String>, bounds: Bounds) -> Sight {
    let read = async {
        let mut contents = std::collections::BTreeMap::new();
        for path in paths {
            let Ok(file) = tokio::fs::File::open(&path).await else { continue };
            let mut bytes = Vec::new();
            if file.take(MAX_BYTES).read_to_end(&mut bytes).await.is_ok() {
                contents.insert(path, String::from_utf8_lossy(&bytes).into_owned());
            }
        }
        contents
    };
    match tokio::time::timeout_at(bounds.deadline(), read).await {
        Ok(contents) => Sight::Files { contents },
        Err(_) => Sight::Unable { message: "files could not be read in time".to_owned() },
    }
}
