//! The life cycle of the process: socket, periodic work, signals.

use std::{
    fs, io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use caps::Capability;
use ipblock_datapath::missing_capabilities;
use ipblock_policy::Hinted;
use thiserror::Error;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    task::JoinHandle,
    time::{MissedTickBehavior, interval, sleep, timeout},
};
use tracing::{error, info, warn};

use super::{
    connections::{self, Bounds},
    http,
    kernel_log::KernelLog,
    metrics::{self, Scrapes},
    settings::Settings,
    state::Service,
    transport::unix::{self, SocketError, UnixSocket},
};
use crate::start::error::StartError;

/// Interval to attach interfaces that appear, and to roll back unconfirmed revisions.
const RECONCILE_INTERVAL: Duration = Duration::from_secs(1);
/// Interval to remove ended bans, and to move wall-clock ends after a step of the wall clock.
const BAN_INTERVAL: Duration = Duration::from_secs(1);
/// Interval to compare samples of the kernel's state with the intended one.
const DRIFT_INTERVAL: Duration = Duration::from_secs(5);
/// Interval to check list files for changes.
const LISTS_INTERVAL: Duration = Duration::from_secs(1);
/// Timeout of the sinks to deliver waiting alerts after a signal.
const LAST_ALERTS: Duration = Duration::from_secs(5);
/// Timeout of requests in progress after a signal.
const LAST_REQUESTS: Duration = Duration::from_secs(5);

/// Why the daemon stopped or did not start. The kernel continues to filter.
#[derive(Debug, Error)]
pub enum RunError {
    /// Taking over failed.
    #[error(transparent)]
    Start(#[from] StartError),
    /// Capabilities are missing.
    #[error("not permitted: this process lacks {}", listed(missing))]
    Capabilities {
        /// The missing ones.
        missing: Vec<Capability>,
    },
    /// The socket could not be created.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// An error of signals or the runtime.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Hinted for RunError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Start(error) => error.hint(),
            Self::Capabilities { .. } => Some(
                "run ipblockd as root, or with `AmbientCapabilities=CAP_BPF CAP_NET_ADMIN \
                 CAP_PERFMON` as the unit file has it"
                    .to_owned(),
            ),
            Self::Socket(error) => error.hint(),
            Self::Io(_) => None,
        }
    }
}

impl RunError {
    /// Whether the daemon lacks permissions.
    #[must_use]
    pub fn is_not_permitted(&self) -> bool {
        match self {
            Self::Capabilities { .. } => true,
            Self::Start(error) => error.is_not_permitted(),
            Self::Socket(error) => error.is_not_permitted(),
            Self::Io(_) => false,
        }
    }
}

fn listed(missing: &[Capability]) -> String {
    let names: Vec<String> = missing.iter().map(ToString::to_string).collect();
    names.join(", ")
}

/// Runs until `SIGTERM` or `SIGINT`. The filter stays in force when this returns.
pub async fn run(settings: Settings) -> Result<(), RunError> {
    let missing = missing_capabilities();
    if !missing.is_empty() {
        return Err(RunError::Capabilities { missing });
    }
    connections::make_room();
    let socket = settings.socket.clone();
    let checkpoint_interval = settings.checkpoint_interval;
    let metrics_address = settings.metrics;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let hangup = signal(SignalKind::hangup())?;
    // A write beyond a limit on file sizes must fail, as on a full disk, instead of ending the
    // process.
    let _beyond_file_size = signal(SignalKind::from_raw(libc::SIGXFSZ))?;
    // Before the start, which changes things: a daemon that refuses has changed nothing.
    unix::require_free(&socket)?;
    let service = tokio::task::spawn_blocking(move || Service::start(settings))
        .await
        .map_err(io::Error::other)??;
    let service = Arc::new(service);
    let listener = UnixSocket::bind(&socket)?;
    let background = look_after(&service, checkpoint_interval, hangup);
    let pump = Pump::start(&service)?;
    let metrics_server = match metrics_address {
        Some(address) => Some(serve_metrics(&service, address).await),
        None => None,
    };
    // Without systemd there is no receiver.
    drop(sd_notify::notify(&[sd_notify::NotifyState::Ready]));
    let watchdog = sd_notify::watchdog_enabled().map(|within| {
        every(within / 3, &service, |service| {
            // This waits for the lock of the state: a daemon that is stuck sends no watchdog
            // message.
            drop(service.read());
            drop(sd_notify::notify(&[sd_notify::NotifyState::Watchdog]));
        })
    });
    info!(socket = %socket.display(), "ready");

    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let routes = http::router(Arc::clone(&service));
    let places = Arc::clone(&service.places);
    let server = connections::serve(listener, Bounds::API, routes, places, stopped);
    let server = tokio::spawn(server);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    // A request that waits for an alert could exceed the timeout.
    service.is_stopping.send_replace(true);
    drop(stop);
    if timeout(LAST_REQUESTS, server).await.is_err() {
        warn!("requests were still open");
    }
    for task in background.into_iter().chain(metrics_server).chain(watchdog) {
        task.abort();
    }
    drop(fs::remove_file(&socket));
    pump.stop().await;
    let saved = tokio::task::spawn_blocking(move || service.checkpoint()).await;
    if let Ok(Err(error)) = saved {
        error!(%error, "counters could not be saved");
    }
    info!("stopped; the filter stays in force");
    Ok(())
}

/// Serves metrics as soon as the address can be bound. Nothing waits for that, because filtering
/// does not need metrics.
async fn serve_metrics(service: &Arc<Service>, address: SocketAddr) -> JoinHandle<()> {
    let service = Arc::clone(service);
    // If the address is free, it is bound before the daemon reports that it is ready.
    let mut listener = take_metrics_address(&service, address).await;
    tokio::spawn(async move {
        let listener = loop {
            if let Some(listener) = listener {
                break listener;
            }
            sleep(RECONCILE_INTERVAL).await;
            listener = take_metrics_address(&service, address).await;
        };
        let page = Arc::new(move || service.metrics_page());
        metrics::serve(listener, page).await;
    })
}

/// Binds the address; `status` shows why that fails.
async fn take_metrics_address(service: &Service, address: SocketAddr) -> Option<Scrapes> {
    let error = match Scrapes::bind(address).await {
        Ok(listener) => {
            service.write().metrics_problem = None;
            return Some(listener);
        }
        Err(error) => error,
    };
    let problem = metrics::unavailable(address, &error);
    let known = service.write().metrics_problem.replace(problem.clone());
    // Tried every second, but reported once.
    if known.as_ref() != Some(&problem) {
        warn!("{problem}");
    }
    None
}

/// Starts the periodic work.
fn look_after(
    service: &Arc<Service>,
    checkpoint_interval: Duration,
    hangup: Signal,
) -> Vec<JoinHandle<()>> {
    vec![
        every(RECONCILE_INTERVAL, service, {
            let kernel_log = Mutex::new(KernelLog::default());
            move |service| {
                kernel_log
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .flush(service);
                if let Err(error) = service.reconcile() {
                    warn!(%error, "interfaces could not be looked after");
                }
                service.roll_back_unconfirmed();
                if let Err(error) = service.follow_wall_clock() {
                    warn!(%error, "ends of rules could not be moved with the clock");
                }
            }
        }),
        every(BAN_INTERVAL, service, |service| {
            if let Err(error) = service.look_after_bans() {
                warn!(%error, "bans could not be looked after");
            }
        }),
        every(DRIFT_INTERVAL, service, |service| {
            if let Err(error) = service.look_for_drift() {
                warn!(%error, "the kernel could not be compared with what it should have");
            }
        }),
        every(LISTS_INTERVAL, service, |service| {
            service.follow_lists(false);
        }),
        on_hangup(hangup, service, |service| service.follow_lists(true)),
        every(checkpoint_interval, service, |service| {
            if let Err(error) = service.checkpoint() {
                warn!(%error, "counters could not be saved");
            }
            if let Err(error) = service.alerts.prune(&service.store) {
                warn!(%error, "alerts whose time is over could not be let go");
            }
            service.compile_cache().forget_gone();
        }),
    ]
}

/// The thread that makes alerts.
struct Pump {
    service: Arc<Service>,
    stop: Arc<AtomicBool>,
    thread: thread::JoinHandle<()>,
}

impl Pump {
    fn start(service: &Arc<Service>) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let thread = thread::Builder::new().name("alerts".to_owned()).spawn({
            let (service, stop) = (Arc::clone(service), Arc::clone(&stop));
            move || service.alerts.pump(&service.state, &service.store, &stop)
        })?;
        let service = Arc::clone(service);
        Ok(Self {
            service,
            stop,
            thread,
        })
    }

    /// Makes the remaining alerts first, and lets the sinks deliver them.
    async fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        let joined = tokio::task::spawn_blocking(move || self.thread.join()).await;
        if !matches!(joined, Ok(Ok(()))) {
            error!("the thread that tells of alerts failed");
        }
        let sinks =
            tokio::task::spawn_blocking(move || self.service.alerts.sinks().stop(LAST_ALERTS))
                .await;
        if sinks.is_err() {
            error!("the sinks of alerts could not be stopped");
        }
    }
}

/// Runs a function periodically on a blocking thread; late is better than twice. A panic ends only
/// one iteration.
fn every(
    period: Duration,
    service: &Arc<Service>,
    work: impl Fn(&Service) + Send + Sync + 'static,
) -> JoinHandle<()> {
    let service = Arc::clone(service);
    let work = Arc::new(work);
    tokio::spawn(async move {
        let mut ticks = interval(period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            do_once(&service, &work).await;
        }
    })
}

/// Runs a function on a blocking thread after each `SIGHUP`; signals during a run count once.
fn on_hangup(
    mut hangup: Signal,
    service: &Arc<Service>,
    work: impl Fn(&Service) + Send + Sync + 'static,
) -> JoinHandle<()> {
    let service = Arc::clone(service);
    let work = Arc::new(work);
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            info!("SIGHUP: reading the files of lists again");
            do_once(&service, &work).await;
        }
    })
}

/// Does `work` on a blocking thread. A panic ends it this one time only.
async fn do_once(service: &Arc<Service>, work: &Arc<impl Fn(&Service) + Send + Sync + 'static>) {
    let (service, work) = (Arc::clone(service), Arc::clone(work));
    if let Err(panic) = tokio::task::spawn_blocking(move || work(&service)).await {
        error!(%panic, "background work failed");
    }
}
