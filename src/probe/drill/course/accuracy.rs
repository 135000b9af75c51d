//! How exact a recovery time is: against a service of our own whose outage is known to the microsecond, on a machine that is
//! kept busy. `IMPARCIAL_DRILLS=50` makes that many in a row and prints the table.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::super::world::{Ready, Seen, There, Used, Written};
use super::*;
use crate::agent::client::Agents;
use crate::agent::{Look, Sight};
use crate::time::whole_ms;

/// Answers on a port, but for the time of its outage.
struct Service {
    url: String,
    port: u16,
    down_for: Duration,
    /// When it stopped and when it answered again, since `began`.
    outage: Mutex<Option<(Duration, Duration)>>,
    serving: Mutex<Option<tokio::task::JoinHandle<()>>>,
    began: std::sync::OnceLock<Instant>,
}

async fn listen(port: u16) -> TcpListener {
    // The port is ours, and free again at once.
    loop {
        match TcpListener::bind(("127.0.0.1", port)).await {
            Ok(listener) => return listener,
            Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
        }
    }
}

fn serve(listener: TcpListener) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut asked = [0; 1024];
                let _ = stream.read(&mut asked).await;
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok").await;
            });
        }
    })
}

#[async_trait]
impl World for Service {
    async fn look(&self, timeout: Duration) -> Result<Seen, ProbeError> {
        let (method, url) = ("GET".to_owned(), self.url.clone());
        let look = Look::Http { method, url, headers: Vec::new(), body: None, max_bytes: 1024 };
        Ok(match Agents::default().host().look(look, timeout).await? {
            Sight::Http { status: 200, .. } => Seen { ok: true, said: String::new() },
            other => Seen { ok: false, said: format!("{other:?}") },
        })
    }

    async fn used(&self) -> Option<Used> {
        None
    }

    async fn prepare(&self) -> Result<Ready, ProbeError> {
        Ok(Ready::Aimed)
    }

    async fn inject(&self) -> Result<Vec<Text>, ProbeError> {
        let began = *self.began.get().unwrap();
        let serving = self.serving.lock().unwrap().take().unwrap();
        serving.abort();
        let _ = serving.await;
        let stopped = began.elapsed();
        let (port, until) = (self.port, Instant::now() + self.down_for);
        tokio::time::sleep_until(until).await;
        let listener = listen(port).await;
        let up = began.elapsed();
        *self.serving.lock().unwrap() = Some(serve(listener));
        *self.outage.lock().unwrap() = Some((stopped, up));
        Ok(Vec::new())
    }

    fn undoes(&self) -> bool {
        false
    }

    async fn heal(&self) -> Result<(), ProbeError> {
        Ok(())
    }

    fn forget(&self) {}

    async fn harmed(&self) -> Option<Result<Vec<Text>, ProbeError>> {
        None
    }

    async fn is_down(&self) -> bool {
        false
    }

    async fn aid(&self, _: bool) -> Result<Option<Text>, ProbeError> {
        Ok(None)
    }

    async fn hopeless(&self) -> Option<Text> {
        None
    }

    fn heard(&self) -> Vec<Heard> {
        Vec::new()
    }

    fn hit(&self) -> Vec<String> {
        Vec::new()
    }

    async fn open_ledger(&self) -> Result<(), ProbeError> {
        Ok(())
    }

    async fn write(&self, _: u64) -> Written {
        Written::Failed
    }

    async fn read(&self) -> Result<There, ProbeError> {
        Ok(There::default())
    }

    async fn close_ledger(&self) -> Option<Text> {
        None
    }
}

#[allow(clippy::print_stdout, reason = "the table is what it is run for")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recovery_lies_between_the_last_failing_and_the_first_passing_sample() {
    let runs = std::env::var("IMPARCIAL_DRILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(3);
    let busy = std::sync::Arc::new(AtomicBool::new(true));
    let load: Vec<_> = (0..4)
        .map(|_| {
            let busy = busy.clone();
            std::thread::spawn(move || {
                let mut n = 0_u64;
                while busy.load(Ordering::Relaxed) {
                    n = std::hint::black_box(n.wrapping_add(1));
                }
            })
        })
        .collect();
    let course = Course {
        every: Duration::from_millis(20),
        timeout: Duration::from_secs(2),
        steady_within: Duration::from_secs(30),
        hold: Duration::ZERO,
        unaided: false,
        since_heal: false,
        within: Duration::from_secs(10),
        stable: 3,
        held: Duration::from_millis(200),
        ledger_every: None,
    };
    let mut worst = (0_i64, 0_u64);
    for run in 1..=runs {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let service = Arc::new(Service {
            url: format!("http://127.0.0.1:{port}/"),
            port,
            down_for: Duration::from_millis(150 + 17 * run % 400),
            outage: Mutex::default(),
            serving: Mutex::new(Some(serve(listener))),
            began: std::sync::OnceLock::new(),
        });
        service.began.set(Instant::now()).unwrap();
        let went = super::run(service.clone(), &course, &CancellationToken::new()).await;
        let (_, up) = service.outage.lock().unwrap().unwrap();
        let measured = went.measured.unwrap();
        let recovered = went
            .samples
            .iter()
            .filter(|s| s.ok && s.end_ms() as f64 >= up.as_secs_f64() * 1000.0 - 1.0)
            .map(Sample::end_ms)
            .min()
            .unwrap();
        let failed = went.samples.iter().filter(|s| !s.ok).map(|s| s.at_ms).max().unwrap();
        let up_ms = whole_ms(up);
        // Both clocks count whole milliseconds, and begin within one of each other.
        assert!(failed <= up_ms + 2 && up_ms <= recovered + 2, "run {run}: {failed} <= {up_ms} <= {recovered}");
        assert!(measured.recovery_time_ms.is_some(), "run {run}: {measured:?}");
        assert!(measured.resolution_ms <= recovered - failed + 2, "run {run}: {measured:?}");
        let late = recovered as i64 - up_ms as i64;
        worst = (worst.0.max(late), worst.1.max(measured.resolution_ms));
        println!("run {run}: up at {up_ms} ms, seen failing at {failed}, passing at {recovered}: {late} ms late");
    }
    println!("{runs} runs: at most {} ms late, gap at most {} ms", worst.0, worst.1);
    busy.store(false, Ordering::Relaxed);
    load.into_iter().for_each(|thread| drop(thread.join()));
}
