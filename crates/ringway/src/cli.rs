//! The command line. `serve`, `gateway`, `node` and `demo` run members; everything else is a client of the HTTP API.

mod api;
mod args;
#[cfg(feature = "load")]
mod bench;
mod changes;
#[cfg(feature = "load")]
mod chaos;
mod check;
mod closed;
mod doctor;
mod error;
mod import;
mod members;
mod nodes;
mod paint;
mod percent;
mod plan;
mod program;
mod ready;
mod run;
mod send;
mod table;
mod tokens;
mod top;

use std::future::Future;
use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use clap::Parser;

use crate::orchestrator::lifeline;
use crate::telemetry;
use args::{Cli, Command, ConfigOrder};
use error::CliError;

/// Runs the program: reads the arguments, does what they say, and returns the exit code.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let code = match dispatch(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            telemetry::last_word(&why);
            why.code()
        }
    };
    telemetry::finish();
    code
}

fn dispatch(cli: Cli) -> Result<(), CliError> {
    let format = cli.log_format;
    match cli.command {
        Command::Serve(args) => member(format, run::serve(args)),
        Command::Gateway(args) => {
            lifeline::tie_to_parent().map_err(CliError::unavailable)?;
            member(format, run::gateway(args))
        }
        Command::Node(node) => match node.order {
            Some(order) => client(nodes::run(order)),
            None => {
                lifeline::tie_to_parent().map_err(CliError::unavailable)?;
                member(format, run::node(node.run))
            }
        },
        Command::Demo(args) => {
            lifeline::tie_to_parent().map_err(CliError::unavailable)?;
            member(format, run::demo(args))
        }
        Command::Members(args) => client(members::members(args)),
        Command::Plan { order } => client(plan::run(order)),
        Command::Changes(args) => client(changes::run(args)),
        Command::Ring(args) => client(members::ring(args)),
        Command::Send(args) => client(send::run(args)),
        Command::Top(args) => client(top::run(args)),
        Command::Doctor(args) => client(doctor::run(*args)),
        Command::Config { order: ConfigOrder::Check(args) } => check::run(&args),
        Command::Config { order: ConfigOrder::Import(args) } => import::run(&args),
        Command::Token(args) => tokens::token(&args),
        Command::Subtoken(args) => tokens::subtoken(&args),
        Command::Checktoken(args) => client(tokens::check(args)),
        Command::Genkey(args) => tokens::genkey(&args),
        #[cfg(feature = "load")]
        Command::Bench { measured: bench::Measured::Server(load) } => client(bench::run(load)),
        // On as many threads as a member has.
        #[cfg(feature = "load")]
        Command::Bench { measured: bench::Measured::Log(args) } => many(bench::log(args)),
        #[cfg(feature = "load")]
        Command::Chaos(args) => client(chaos::run(*args)),
    }
}

/// Runs a member: logs, and a thread per core.
fn member(format: telemetry::LogFormat, work: impl Future<Output = Result<(), CliError>>) -> Result<(), CliError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(CliError::failed)?;
    let inside = runtime.enter();
    telemetry::start(format).map_err(CliError::config)?;
    drop(inside);
    let outcome = runtime.block_on(work);
    // What still runs is of no use any more, and must not hold the exit up.
    runtime.shutdown_background();
    outcome
}

/// Runs a client that needs a thread per core.
#[cfg(feature = "load")]
fn many(work: impl Future<Output = Result<(), CliError>>) -> Result<(), CliError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(CliError::failed)?;
    let outcome = runtime.block_on(work);
    runtime.shutdown_background();
    outcome
}

/// Runs a client: one thread is enough.
fn client(work: impl Future<Output = Result<(), CliError>>) -> Result<(), CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(CliError::failed)?;
    let outcome = runtime.block_on(work);
    runtime.shutdown_background();
    outcome
}

/// Writes to stdout, for programs that are no members: they wait for their reader, and end with it. Members announce.
fn say(text: &str) -> Result<(), CliError> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|why| match why.kind() {
        ErrorKind::BrokenPipe => CliError::ReaderGone,
        _ => CliError::Failed(format!("cannot write to stdout: {why}")),
    })
}

#[cfg(test)]
mod tests;
