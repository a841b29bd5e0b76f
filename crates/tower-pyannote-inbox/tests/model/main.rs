//! Random commands against an inbox in each database, held to a model.
//!
//! A command lets one call of a worker to its database go on, ends a handler, kills a worker, moves a clock. A call may be a
//! transaction that commits deliveries, writes results and claims events. After each command the tables are read, and the model
//! says whether their change is one that the command may cause, and whether a transaction did all that it holds. `PROPTEST_CASES` sets the number of
//! cases for each database.
#![cfg(all(unix, feature = "sqlite", feature = "postgres", feature = "testing"))]

mod command;
mod database;
mod delivery;
mod gate;
mod model;
mod world;

use std::{env, marker::PhantomData};

use proptest::test_runner::Config;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};

use self::{
    command::{Command, Commands},
    database::{Postgresql, Sqlite, Store},
    world::World,
};

prop_state_machine! {
    #![proptest_config(config(100))]

    #[test]
    fn sqlite_agrees_with_the_model(sequential 20..100 => Machine<Sqlite>);
}

prop_state_machine! {
    #![proptest_config(config(30))]

    #[test]
    fn postgresql_agrees_with_the_model(sequential 20..100 => Machine<Postgresql>);
}

struct Machine<S>(PhantomData<S>);

impl<S: Store> StateMachineTest for Machine<S> {
    /// `None` where the database is not installed.
    type SystemUnderTest = Option<World>;
    type Reference = Commands;

    fn init_test(_: &()) -> Option<World> {
        S::database().map(World::new)
    }

    fn apply(world: Option<World>, _: &(), command: Command) -> Option<World> {
        let mut world = world?;
        world.apply(&command);
        Some(world)
    }

    fn teardown(world: Option<World>) {
        if let Some(world) = world {
            world.comes_to_rest();
        }
    }
}

impl ReferenceStateMachine for Commands {
    /// The commands name workers, calls and events by numbers, of which each is valid in every state.
    type State = ();
    type Transition = Command;

    fn init_state() -> proptest::strategy::BoxedStrategy<()> {
        proptest::strategy::Strategy::boxed(proptest::strategy::Just(()))
    }

    fn transitions(_: &()) -> proptest::strategy::BoxedStrategy<Command> {
        command::any()
    }

    fn apply((): (), _: &Command) {}
}

fn config(cases: u32) -> Config {
    let set = env::var("PROPTEST_CASES").ok();
    Config {
        cases: set.map_or(cases, |set| set.parse().expect("a number of cases")),
        failure_persistence: None,
        max_shrink_time: 60_000,
        ..Config::default()
    }
}
