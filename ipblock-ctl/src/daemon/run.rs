//! The life of the process: socket, periodic work, signals.

use std::{
    fs, io,
    net::SocketAddr,
    os::unix::{fs::PermissionsExt as _, net::UnixStream},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use thiserror::Error;
use tokio::{
    net::UnixListener,
    signal::unix::{Signal, SignalKind, signal},
    task::JoinHandle,
    time::{MissedTickBehavior, interval, timeout},
};
use tracing::{error, info, warn};

use super::{
    connections, http, kernel_log::KernelLog, metrics, settings::Settings, state::Service,
    takeover::StartError,
};

/// How soon an interface that appears is attached, and an unconfirmed revision taken back.
const RECONCILE_INTERVAL: Duration = Duration::from_secs(1);
/// How soon ended bans are cleared away, and a step of the wall clock moves those that go by it.
const BAN_INTERVAL: Duration = Duration::from_secs(1);
/// How soon samples of what the kernel has are compared with what it should have.
const DRIFT_INTERVAL: Duration = Duration::from_secs(5);
/// How soon a list file that changes is noticed.
const LISTS_INTERVAL: Duration = Duration::from_secs(1);
/// How long sinks may take to deliver what waits after a signal.
const LAST_ALERTS: Duration = Duration::from_secs(5);
/// How long requests that are under way may take to finish after a signal.
const LAST_REQUESTS: Duration = Duration::from_secs(5);

/// Why the daemon stopped or did not start. The kernel filters on as before.
#[derive(Debug, Error)]
pub enum RunError {
    /// Taking over failed.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The socket could not be made.
    #[error("socket {path}: {source}", path = .path.display())]
    Socket {
        /// Its path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process listens there.
    #[error("socket {path}: another process answers there", path = .path.display())]
    SocketInUse {
        /// Its path.
        path: PathBuf,
    },
    /// The address for metrics could not be taken.
    #[error("metrics at {address}: {source}")]
    Metrics {
        /// The address of the configuration.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// Signals or the runtime.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl RunError {
    /// What to do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Start(error) => error.hint(),
            Self::SocketInUse { .. } => Some("stop it, or give another --socket".to_owned()),
            Self::Metrics { source, .. } => Some(match source.kind() {
                io::ErrorKind::AddrInUse => {
                    "another process listens there: write another port as `listen` of [metrics]"
                        .to_owned()
                }
                io::ErrorKind::AddrNotAvailable => {
                    "no interface has this address now: write one that this host has as `listen` \
                     of [metrics]"
                        .to_owned()
                }
                _ => "write another address as `listen` of [metrics], or leave it out".to_owned(),
            }),
            Self::Socket { .. } | Self::Io(_) => None,
        }
    }
}

/// Runs until `SIGTERM` or `SIGINT`. The filter stays in force when this returns.
pub async fn run(settings: Settings) -> Result<(), RunError> {
    connections::make_room();
    let socket = settings.socket.clone();
    let checkpoint_interval = settings.checkpoint_interval;
    let metrics_address = settings.metrics;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let hangup = signal(SignalKind::hangup())?;
    // A write beyond a limit on file sizes has to fail, as on a full disk, and not to end the process.
    let _beyond_file_size = signal(SignalKind::from_raw(libc::SIGXFSZ))?;
    let service = tokio::task::spawn_blocking(move || Service::start(settings))
        .await
        .map_err(io::Error::other)??;
    let service = Arc::new(service);
    // After the start: an address that is not there yet leaves the host filtered.
    let metrics_listener = match metrics_address {
        Some(address) => {
            let bound = metrics::bind(address).await;
            Some(bound.map_err(|source| RunError::Metrics { address, source })?)
        }
        None => None,
    };
    let listener = listen(&socket)?;
    let background = look_after(&service, checkpoint_interval, hangup);
    let pump = Pump::start(&service)?;
    let metrics_server = metrics_listener.map(|listener| {
        let service = Arc::clone(&service);
        tokio::spawn(metrics::serve(
            listener,
            Arc::new(move || service.metrics_page()),
        ))
    });
    // There is nobody to tell without systemd.
    drop(sd_notify::notify(&[sd_notify::NotifyState::Ready]));
    let watchdog = sd_notify::watchdog_enabled().map(|within| {
        every(within / 3, &service, |service| {
            // Answered by whoever holds the state: a daemon that is stuck is silent.
            drop(service.read());
            drop(sd_notify::notify(&[sd_notify::NotifyState::Watchdog]));
        })
    });
    info!(socket = %socket.display(), "ready");

    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let routes = http::router(Arc::clone(&service));
    let places = Arc::clone(&service.places);
    let server = tokio::spawn(connections::serve(listener, routes, places, stopped));
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    // A request that waits for an alert could take longer than is waited for it.
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

/// Starts what is done again and again.
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
            if let Err(error) = service.prune_alerts() {
                warn!(%error, "alerts whose time is over could not be let go");
            }
            service.compiled().forget_gone();
        }),
    ]
}

/// The thread that tells of alerts.
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
            move || service.pump_alerts(&stop)
        })?;
        let service = Arc::clone(service);
        Ok(Self {
            service,
            stop,
            thread,
        })
    }

    /// Tells of what is left first, and lets the sinks deliver it.
    async fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        let joined = tokio::task::spawn_blocking(move || self.thread.join()).await;
        if !matches!(joined, Ok(Ok(()))) {
            error!("the thread that tells of alerts failed");
        }
        let sinks = tokio::task::spawn_blocking(move || self.service.sinks.stop(LAST_ALERTS)).await;
        if sinks.is_err() {
            error!("the sinks of alerts could not be stopped");
        }
    }
}

/// Binds the socket; a file that nobody answers on is a dead daemon's.
fn listen(path: &Path) -> Result<UnixListener, RunError> {
    let failed = |source| RunError::Socket {
        path: path.to_owned(),
        source,
    };
    if UnixStream::connect(path).is_ok() {
        return Err(RunError::SocketInUse {
            path: path.to_owned(),
        });
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory).map_err(failed)?;
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    // Everyone may connect; every request is authorised by the peer's credentials.
    fs::set_permissions(path, fs::Permissions::from_mode(0o666)).map_err(failed)?;
    Ok(listener)
}

/// Does something on a blocking thread, again and again; late is better than twice. A panic ends
/// that one time only.
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
            let (service, work) = (Arc::clone(&service), Arc::clone(&work));
            if let Err(panic) = tokio::task::spawn_blocking(move || work(&service)).await {
                error!(%panic, "periodic work failed");
            }
        }
    })
}

/// Does something on a blocking thread after each `SIGHUP`; those that come meanwhile count once.
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
            let (service, work) = (Arc::clone(&service), Arc::clone(&work));
            if let Err(panic) = tokio::task::spawn_blocking(move || work(&service)).await {
                error!(%panic, "the work after a SIGHUP failed");
            }
        }
    })
}
