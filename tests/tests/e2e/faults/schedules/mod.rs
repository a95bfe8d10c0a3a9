//! Random schedules: four clients change bans, allow lists, rules, zones and interfaces
//! concurrently, while the daemon is held at fault points.
//!
//! Two properties are checked. A protected address is never dropped unless that was forced, which
//! its packets show. And every change that was reported as done is in force, according to a model
//! of the possible states ([`model`]).
//!
//! `IPBLOCK_SCHEDULES` is their number, `IPBLOCK_SCHEDULES_SEED` the first seed. A failure reports
//! its seed. A schedule with that seed repeats the same operations with the same pauses. The kernel
//! and the scheduler still differ, so it may take several runs to reproduce a failure.

mod model;
mod operations;
mod world;

use std::{
    env,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use ipblock_fault::Step;
use ipblock_tests::{FaultFile, patience, random::Random, require_privileged};
use tokio::{task::JoinSet, time::sleep};

use self::{
    model::{Facts, Key, OF_GUARDED, RULES},
    operations::{Operation, Shared, Tally},
    world::{World, dropped},
};
use super::{
    ledger::{Entry, record},
    stage::Flow,
};

/// Default number of schedules; `cargo xtask reliability` uses more.
const SCHEDULES: u64 = 150;
const SEED: u64 = 14;
const CLIENTS: usize = 4;
/// A longer schedule hangs.
const HANGS: Duration = Duration::from_mins(1);

/// Where the daemon is held. More often after it has judged a change: the concurrent changes of
/// that moment are of interest.
const HOLDS: [Step; 16] = [
    Step::Judged,
    Step::Judged,
    Step::Judged,
    Step::Judged,
    Step::StoreCommitting,
    Step::StoreCommitted,
    Step::GenerationFilled,
    Step::GenerationPinned,
    Step::LinkSwitched,
    Step::LinksSettled,
    Step::CountsRead,
    Step::ChangeInForce,
    Step::LinkMade,
    Step::LinkDetached,
    Step::BanEntryWritten,
    Step::BanWritten,
];

/// The operations of one client, each after a pause.
type Program = Vec<(Duration, Operation)>;

/// Where the daemon is held, at which occurrence, and for how long.
type Hold = (Step, u64, Duration);

/// A schedule, generated from its seed.
struct Schedule {
    programs: [Program; CLIENTS],
    holds: Vec<Hold>,
    /// The initial ruleset, after all bans and interfaces were removed.
    start: Option<Facts>,
    force: bool,
}

impl Schedule {
    fn of(random: &mut Random) -> Self {
        let mut programs: [Program; CLIENTS] = std::array::from_fn(|client| {
            let operations = 1 + random.below(2);
            let some =
                (0..operations).map(|_| (millis(random, 8), Operation::some(random, client)));
            some.collect()
        });
        let holds = (0..random.below(3)).map(|_| {
            let step = HOLDS[random.below(HOLDS.len())];
            let longest = [5, 60][random.below(2)];
            (step, 1 + random.below(3) as u64, millis(random, longest))
        });
        let mut holds: Vec<Hold> = holds.collect();
        let mut start = (random.below(3) == 0).then(|| some_start(random));
        // Half of them are duels: a ban and another change, each harmless alone.
        if random.below(2) == 0 {
            let zone = [None, Some("default")][random.below(2)];
            start = Some([Key::Allow(zone)].into());
            let ban = Operation::Ban(OF_GUARDED[random.below(2)], true);
            let longest = [3, 60, 250][random.below(3)];
            programs[0].insert(0, (millis(random, longest), ban));
            programs[1].insert(0, (millis(random, 3), Operation::against_ban(random, zone)));
            if random.below(4) > 0 {
                let step = [Step::Judged, Step::StoreCommitting][random.below(2)];
                let longest = [60, 400][random.below(2)];
                holds.insert(
                    0,
                    (step, 1 + random.below(3) as u64, millis(random, longest)),
                );
            }
        }
        Self {
            programs,
            holds,
            start,
            force: random.below(12) == 0,
        }
    }
}

/// At most this number of milliseconds.
fn millis(random: &mut Random, most: usize) -> Duration {
    Duration::from_micros(random.below(1000 * most) as u64) * patience()
}

/// Rules of some clients, and the protected address on one allow list or both.
fn some_start(random: &mut Random) -> Facts {
    let both = [None, Some("default")];
    let allow = [&both[..1], &both[1..], &both][random.below(3)].iter();
    let allow = allow.map(|zone| Key::Allow(*zone));
    let rules = RULES.into_iter().map(Key::Rule);
    allow
        .chain(rules.filter(|_| random.below(2) == 0))
        .collect()
}

/// Runs a client; returns when all its operations were answered.
async fn play(schedule: &Schedule, shared: &Arc<Shared>, fault: &FaultFile) -> anyhow::Result<()> {
    let are_done = Arc::new(AtomicBool::new(false));
    let holding = tokio::spawn(hold(
        fault.clone(),
        schedule.holds.clone(),
        Arc::clone(&are_done),
    ));
    let mut clients = JoinSet::new();
    for program in schedule.programs.clone() {
        let shared = Arc::clone(shared);
        clients.spawn_local(async move {
            for (pause, operation) in &program {
                sleep(*pause).await;
                let done = shared.carry_out(operation).await;
                done.with_context(|| format!("{operation:?}"))?;
            }
            anyhow::Ok(())
        });
    }
    let mut outcome = Ok(());
    while let Some(ended) = clients.join_next().await {
        outcome = outcome.and(ended?);
    }
    are_done.store(true, Ordering::Relaxed);
    holding.await??;
    outcome
}

/// Holds the daemon at the scheduled steps, one after the other.
async fn hold(fault: FaultFile, holds: Vec<Hold>, are_done: Arc<AtomicBool>) -> anyhow::Result<()> {
    for (step, count, pause) in holds {
        fault.hold_at(step.name(), count)?;
        while !fault.is_reached() && !are_done.load(Ordering::Relaxed) {
            sleep(Duration::from_millis(1)).await;
        }
        if fault.is_reached() {
            sleep(pause).await;
        }
        fault.clear()?;
    }
    Ok(())
}

/// Runs a schedule and asserts the properties.
async fn run(world: &World, seed: u64, tally: &mut Tally) -> anyhow::Result<()> {
    let mut random = Random::new(seed);
    let schedule = Schedule::of(&mut random);
    let shared = Arc::new(world.shared(schedule.force));
    let client = shared.client();
    if let Some(start) = &schedule.start {
        world.reset(&client, start).await?;
    }
    let before = world.found(&client).await?;
    let dropped_before = dropped(&client).await?;
    world.set_free(schedule.force);
    play(&schedule, &shared, &world.daemon.fault()).await?;
    let after = world.found(&client).await?;
    ensure!(after.problems.is_empty(), "{:?}", after.problems);
    {
        let told = shared.lock_told();
        let wrong = told.contradictions(&before.edited, &after.edited);
        ensure!(wrong.is_empty(), "told, and not so: {wrong:?}");
        let may_be_staged = told.may_be_staged(before.is_staged);
        ensure!(
            may_be_staged || !after.is_staged,
            "deployed, and still staged"
        );
    }
    world.assert_judged(&client, &after.deployed).await?;
    if schedule.force {
        world.reset(&client, &some_start(&mut random)).await?;
        world.set_free(false);
    } else {
        let more = dropped(&client).await? - dropped_before;
        ensure!(
            more == 0,
            "{more} packets of the guarded address were dropped, deployed {:?}",
            after.deployed
        );
    }
    for (name, [done, refused]) in shared.tally.lock().expect("no panic").iter() {
        let all = tally.entry(name).or_default();
        *all = [all[0] + done, all[1] + refused];
    }
    finish_staged(world, &client, &mut random).await
}

/// Deploys or discards the remaining staged edits, so that the next schedule is not refused too
/// often because of them.
async fn finish_staged(
    world: &World,
    client: &ipblock_api::client::Client,
    random: &mut Random,
) -> anyhow::Result<()> {
    let found = world.found(client).await?;
    if !found.is_staged || random.below(3) == 0 {
        return Ok(());
    }
    let deploy = operations::read(serde_json::json!({}))?;
    let expected: Facts = if client.deploy(&deploy).await.is_ok() {
        found.edited
    } else {
        client
            .discard(&ipblock_api::types::DiscardQuery::default())
            .await?;
        found.deployed
    };
    let found = world.found(client).await?;
    ensure!(
        !found.is_staged && found.deployed == expected,
        "{:?} and not {expected:?}",
        found.deployed
    );
    Ok(())
}

fn number(name: &str, otherwise: u64) -> anyhow::Result<u64> {
    match env::var(name) {
        Ok(text) => text.parse().with_context(|| format!("{name}={text}")),
        Err(_) => Ok(otherwise),
    }
}

#[test]
fn four_clients_at_once_never_cut_the_guarded_off_and_get_what_they_are_told() -> anyhow::Result<()>
{
    let root = require_privileged!();
    let schedules = number("IPBLOCK_SCHEDULES", SCHEDULES)?;
    let first = number("IPBLOCK_SCHEDULES_SEED", SEED)?;
    let world = World::new(root)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let local = tokio::task::LocalSet::new();
    let mut tally = Tally::new();
    let begun = Instant::now();
    local.block_on(&runtime, async {
        let client = world.shared(true).client();
        let start = some_start(&mut Random::new(first));
        world.reset(&client, &start).await?;
        for seed in first..first + schedules {
            let one = run(&world, seed, &mut tally);
            let ended = tokio::time::timeout(HANGS * patience(), one).await;
            let which = || format!("schedule of seed {seed}, the {}th", seed - first + 1);
            ended
                .context("it hangs")
                .with_context(which)?
                .with_context(which)?;
        }
        anyhow::Ok(())
    })?;
    println!(
        "{schedules} schedules from seed {first} in {:?}; done and refused: {tally:?}",
        begun.elapsed()
    );
    // An operation that could never succeed, or never be refused, would prove nothing.
    if schedules >= SCHEDULES {
        let names = [
            "ban of the guarded",
            "allow remove",
            "apply",
            "attach",
            "deploy",
        ];
        let all = names.map(|name| tally.get(name).copied().unwrap_or_default());
        assert!(all.iter().all(|[done, _]| *done > 0), "{tally:?}");
        assert!(all.iter().any(|[_, refused]| *refused > 0), "{tally:?}");
    }
    let packets = world.finish()?;
    let entry = Entry {
        part: "many at once",
        fault: "random schedules of four clients, held at fault points",
        injected: schedules,
        outcome: "no packet of a guarded address dropped that was not forced; what was told is in force",
    };
    record(
        entry,
        &Flow {
            packets,
            blocked: 0,
        },
    )
}
