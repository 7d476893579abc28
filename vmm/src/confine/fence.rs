//! The steps by which a thread becomes its role, as types: `Unfenced`, `Slotted`, `Fenced`.

use std::marker::PhantomData;
use std::os::fd::RawFd;
use std::path::Path;

use seccomp_policies::embed::Embedded;
use seccomp_policies::language;

use super::bell::Slot;
use super::install::{self, Fencing, Hold};
use super::record::{Farewell, Phase, Record};
use super::{futex, reserve, root, sigsys, table};

/// A thread role: a name for its policy at the level of types.
pub trait Role {
    /// The policy that the build has embedded.
    const POLICY: &'static Embedded;
    /// Whether the thread may allocate in its loop, so that its policy has rules for that.
    const ALLOCATES: bool = false;
}

/// What all three steps hold. Not `Send`: it speaks of the calling thread.
#[derive(Debug)]
struct Held<R> {
    record: &'static Record,
    fencing: Fencing,
    role: PhantomData<(R, *const ())>,
}

/// A thread that shares its parent's descriptor table and has no filter of its own.
#[derive(Debug)]
pub struct Unfenced<R>(Held<R>);

/// A thread whose own table holds its slots and nothing else; no filter yet.
#[derive(Debug)]
pub struct Slotted<R>(Held<R>);

/// A thread under the filter of its role.
#[derive(Debug)]
pub struct Fenced<R>(Held<R>);

/// Why a thread could not be fenced.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It did not get its table.
    #[error(transparent)]
    Table(#[from] table::Error),
    /// It did not get its root folder.
    #[error(transparent)]
    Root(#[from] root::Error),
    /// It did not get its filter.
    #[error(transparent)]
    Install(#[from] install::Error),
}

impl<R: Role> Unfenced<R> {
    /// Only for `thread`, in the new thread itself, and for the process's first thread.
    pub(super) fn begin(record: &'static Record, fencing: Fencing) -> Self {
        record.set_tid(rustix::thread::gettid().as_raw_nonzero().get());
        Self(Held { record, fencing, role: PhantomData })
    }

    /// Gives the thread a table of its own with just these descriptors. `farewell`: what it does when it cannot go
    /// on; it may name a slot of the new table.
    ///
    /// # Errors
    /// See [`table::Error`].
    ///
    /// # Safety
    /// As for [`table::take_own`]: this thread may neither use nor drop a value that owns or borrows a descriptor
    /// by its number in the old table.
    pub unsafe fn own_table(
        self,
        placements: &[table::Placement],
        farewell: Farewell,
    ) -> Result<Slotted<R>, Error> {
        // SAFETY: the same promise, given by the caller.
        unsafe { table::take_own(placements) }?;
        self.0.record.set_farewell(farewell);
        // From here on a panic can be told to main, and its usual words would go to /dev/null.
        sigsys::attend(self.0.record);
        Ok(Slotted(self.0))
    }
}

impl<R: Role> Slotted<R> {
    /// Makes sure that something lies at a slot that a library has filled, by taking the lowest free number.
    ///
    /// # Errors
    /// [`table::Error::Missing`]
    pub fn assert_open(&self, number: RawFd) -> Result<(), Error> {
        if table::is_open(number) { Ok(()) } else { Err(table::Error::Missing(number).into()) }
    }

    /// The descriptor at a slot of this thread's table.
    pub fn slot(&self, number: RawFd) -> Slot {
        Slot::placed(number)
    }

    /// Fills every free number below `first` with `/dev/null`, so that descriptors which the thread makes in its loop lie
    /// from there on, and none can pass for a slot that this run does not use.
    ///
    /// # Errors
    /// [`table::Error::Call`]
    pub fn fill_below(&self, first: RawFd) -> Result<(), Error> {
        Ok(table::fill_below(first)?)
    }

    /// Lets the thread see this folder alone as its files, where the process may do that; false where it may not.
    ///
    /// # Errors
    /// [`root::Error`]
    pub fn enter(&self, folder: &Path) -> Result<bool, Error> {
        Ok(root::enter(folder)?)
    }

    /// Installs the role's filter. The last call for which the thread needs no rule.
    ///
    /// # Errors
    /// See [`install::Error`].
    pub fn fence(self) -> Result<Fenced<R>, Error> {
        let hold = self.0.fencing.hold(R::POLICY);
        futex::find_clock();
        // A strict-mode role may not wake anybody by futex, so main looks for its phase by itself.
        if R::POLICY.tier() == language::Tier::Strict && !matches!(hold, Hold::Unconfined) {
            reserve::seal();
            install::install(hold)?;
            self.0.record.set_phase_quietly(Phase::Fenced);
        } else {
            if !R::ALLOCATES {
                reserve::seal();
            }
            install::install(hold)?;
            self.0.record.set_phase(Phase::Fenced);
        }
        #[cfg(feature = "provoke")]
        super::provoke::act(&self.0.record.name, 0);
        Ok(Fenced(self.0))
    }
}

impl<R: Role> Fenced<R> {
    /// The thread's record.
    pub fn record(&self) -> &'static Record {
        self.0.record
    }

    /// The descriptor at a slot of this thread's table.
    pub fn slot(&self, number: RawFd) -> Slot {
        Slot::placed(number)
    }
}
