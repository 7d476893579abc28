//! `ringfence audit policies`.

mod text;

use std::path::PathBuf;

use seccomp_policies::language::Policy;
use seccomp_policies::review::review;

use super::costs::Costs;
use super::{Error, page};
use crate::cli::reading::Reading;
use crate::cli::{Outcome, output};
use crate::role::policies::ALL;

const EXAMPLES: &str = "\
The rows of the first table are calls, its columns roles: all, whatever the arguments; some, under the \
conditions that are listed below it; - refused. In the last column stands what all roles may do together, \
since threads share memory. The second table says what each role can do by these calls, as the proof \
engine finds it: an ability is there if one call that gives it is let through.

Exit codes: 0, or 2 where a policy cannot be read.

Examples:
  ringfence audit policies
  ringfence audit policies --role vcpu --role disk --reasons
  ringfence audit policies --against firecracker.json
  ringfence audit policies --html policies.html
  ringfence audit policies --json";

/// Arguments of `audit policies`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// A role to look at; may be given several times [default: all]
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,
    /// The policies of another program instead, in any format; in the last column what the roles of ringfence may do
    /// together
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    /// Why each rule is there, and where it stands
    #[arg(long, conflicts_with = "json")]
    reasons: bool,
    /// For programs: one JSON object, with everything
    #[arg(long)]
    json: bool,
    /// Write it as a page for a browser to this file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["json", "reasons"])]
    html: Option<PathBuf>,
    /// On the page, what the tiers cost: a run of `ringfence bench`, as its --json has it
    #[arg(long, value_name = "BENCH.json", requires = "html")]
    costs: Option<PathBuf>,
    #[command(flatten)]
    reading: Reading,
}

pub(super) fn run(args: &Args) -> Result<Outcome, Error> {
    let costs = args.costs.as_deref().map(Costs::read).transpose()?;
    let (policies, compared) = match &args.against {
        Some(path) => (super::read(path, None, &args.reading)?, Some(review(&ours()))),
        None => (ours(), None),
    };
    let policies = chosen(policies, &args.roles)?;
    let review = review(&policies);
    if let Some(path) = &args.html {
        output::replace(path, page::page(title(args), &review, &[], None, costs.as_ref()).as_bytes())?;
    } else if args.json {
        output::json(&review)?;
    } else {
        output::print(text::text(&review, compared.as_ref(), args.reasons).as_bytes())?;
    }
    Ok(Outcome::Done)
}

fn title(args: &Args) -> &'static str {
    if args.against.is_some() {
        "What the program may ask of the kernel"
    } else {
        "What ringfence's threads may ask of the kernel"
    }
}

/// The policies of the build.
fn ours() -> Vec<Policy> {
    ALL.iter().filter_map(|policy| super::of_build(policy)).collect()
}

fn chosen(policies: Vec<Policy>, names: &[String]) -> Result<Vec<Policy>, Error> {
    if let Some(name) = names.iter().find(|name| policies.iter().all(|policy| policy.role != **name)) {
        let roles = policies.into_iter().map(|policy| policy.role).collect();
        return Err(Error::NoSuchRole { name: name.clone(), roles });
    }
    let is_chosen = |policy: &Policy| names.is_empty() || names.contains(&policy.role);
    Ok(policies.into_iter().filter(is_chosen).collect())
}
