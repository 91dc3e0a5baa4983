//! What a body says: in memory while it is small, in a temporary file beyond.

use crate::limits::Limits;
use crate::refusal::Refusal;
use bytes::{Bytes, BytesMut};
use casebook_app::uploads::ReportBody;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What is reserved at first for a body of unknown length, and then each time it has grown so much, in bytes.
const STEP: usize = 256 << 10;

/// The memory and disk that bodies share, one permit a KiB.
#[derive(Clone)]
pub(crate) struct Space {
    memory: Arc<Semaphore>,
    files: Arc<Semaphore>,
    /// Held by whoever has a large body in memory as a whole: one at a time.
    whole: Arc<Semaphore>,
    most_in_memory: usize,
    all_memory: usize,
}

impl Space {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            memory: Arc::new(Semaphore::new(limits.in_flight >> 10)),
            files: Arc::new(Semaphore::new(limits.in_files >> 10)),
            whole: Arc::new(Semaphore::new(1)),
            most_in_memory: limits.in_memory,
            all_memory: limits.in_flight,
        }
    }

    /// A content that is still empty, and will take about `expected` bytes.
    pub(crate) async fn begin(&self, expected: usize) -> Result<Writing, Refusal> {
        let memory = if expected > self.most_in_memory { STEP } else { expected.max(1 << 10) };
        let memory = memory.min(self.all_memory);
        let permits = Arc::clone(&self.memory).acquire_many_owned(kib(memory)).await.map_err(|_| STOPPING)?;
        let capacity = if expected > self.most_in_memory { 0 } else { expected };
        Ok(Writing {
            space: self.clone(),
            memory: Some(permits),
            held: Held::Memory(BytesMut::with_capacity(capacity)),
        })
    }
}

impl Space {
    /// A content of a request that holds others: nothing is waited for.
    pub(crate) fn begin_at_once(&self) -> Result<Writing, Refusal> {
        let memory = Arc::clone(&self.memory).try_acquire_many_owned(1).ok();
        let held = match &memory {
            Some(_) => Held::Memory(BytesMut::new()),
            None => self.file()?,
        };
        Ok(Writing { space: self.clone(), memory, held })
    }

    /// An empty file.
    fn file(&self) -> Result<Held, Refusal> {
        let permits = Arc::clone(&self.files).try_acquire_owned().map_err(|_| FULL)?;
        let file = tempfile::tempfile().map_err(|_| NO_FILE)?;
        Ok(Held::File { file, length: 0, permits })
    }
}

const STOPPING: Refusal = Refusal::NoRoom("the server is stopping: send the results again later");

fn kib(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(1 << 10).max(1)).unwrap_or(u32::MAX)
}

/// Makes `permits` enough for `length` bytes, if nobody has to be waited for.
fn grow(permits: &mut OwnedSemaphorePermit, all: &Arc<Semaphore>, length: usize) -> bool {
    let have = permits.num_permits() << 10;
    if length <= have {
        return true;
    }
    let more = Arc::clone(all).try_acquire_many_owned(kib((length - have).max(STEP)));
    more.map(|more| permits.merge(more)).is_ok()
}

/// Gives back what `permits` hold beyond `length` bytes.
fn keep(permits: &mut Option<OwnedSemaphorePermit>, length: usize) {
    if let Some(permits) = permits {
        let surplus = permits.num_permits().saturating_sub(kib(length) as usize);
        drop(permits.split(surplus));
    }
}

/// A content that is being received.
pub(crate) struct Writing {
    space: Space,
    /// None if everything went into a file from the first.
    memory: Option<OwnedSemaphorePermit>,
    held: Held,
}

enum Held {
    Memory(BytesMut),
    File { file: File, length: usize, permits: OwnedSemaphorePermit },
}

impl Writing {
    /// Adds `data`. Goes on in a file when it gets too large or memory is short: bodies that hold some memory never wait for
    /// more, so that they cannot wait for each other.
    pub(crate) fn add(&mut self, data: &[u8]) -> Result<(), Refusal> {
        if let Held::Memory(bytes) = &mut self.held {
            let length = bytes.len() + data.len();
            let room = self.memory.as_mut().is_some_and(|memory| grow(memory, &self.space.memory, length));
            if length <= self.space.most_in_memory && room {
                bytes.extend_from_slice(data);
                return Ok(());
            }
            self.move_to_file()?;
        }
        self.append(data)
    }

    fn move_to_file(&mut self) -> Result<(), Refusal> {
        let Held::Memory(bytes) = &mut self.held else { return Ok(()) };
        let bytes = std::mem::take(bytes);
        self.held = self.space.file()?;
        self.append(&bytes)?;
        drop(bytes);
        keep(&mut self.memory, STEP);
        Ok(())
    }

    fn append(&mut self, data: &[u8]) -> Result<(), Refusal> {
        let Held::File { file, length, permits } = &mut self.held else { return Ok(()) };
        if !grow(permits, &self.space.files, *length + data.len()) {
            return Err(FULL);
        }
        file.write_all(data).map_err(|_| NO_FILE)?;
        *length += data.len();
        Ok(())
    }

    pub(crate) fn finish(mut self) -> Content {
        let (body, file) = match self.held {
            Held::Memory(bytes) => {
                keep(&mut self.memory, bytes.len());
                (ReportBody::Memory(bytes.freeze()), None)
            }
            Held::File { file, permits, .. } => (ReportBody::File(file), Some(permits)),
        };
        Content { body, room: Room { _memory: self.memory, _file: file, _whole: None }, space: self.space }
    }
}

const FULL: Refusal =
    Refusal::NoRoom("too many large bodies are being read: send the results again in a moment");
const NO_FILE: Refusal = Refusal::NoRoom(
    "the server has no room for a temporary file: free its disk, or send the results in parts",
);

/// The part of memory and disk that a content takes; it is free again when this is dropped.
pub struct Room {
    _memory: Option<OwnedSemaphorePermit>,
    _file: Option<OwnedSemaphorePermit>,
    _whole: Option<OwnedSemaphorePermit>,
}

/// What a body, or a field of it, says.
pub struct Content {
    body: ReportBody,
    room: Room,
    space: Space,
}

impl Content {
    /// The report, wherever it is, and the room it takes.
    #[must_use]
    pub fn into_report(self) -> (ReportBody, Room) {
        (self.body, self.room)
    }

    /// The whole content in memory, and the room it takes. Of contents too large for memory only one is there at a time;
    /// others wait for their turn.
    ///
    /// # Errors
    /// The temporary file cannot be read, or the server is stopping.
    pub async fn into_memory(self) -> Result<(Bytes, Room), Refusal> {
        let Self { body, mut room, space } = self;
        let mut file = match body {
            ReportBody::Memory(bytes) => return Ok((bytes, room)),
            ReportBody::File(file) => file,
        };
        room._whole = Some(Arc::clone(&space.whole).acquire_owned().await.map_err(|_| STOPPING)?);
        let mut bytes = Vec::with_capacity(file.metadata().map_or(0, |metadata| metadata.len() as usize));
        file.seek(SeekFrom::Start(0)).and_then(|_| file.read_to_end(&mut bytes)).map_err(|_| NO_FILE)?;
        Ok((Bytes::from(bytes), room))
    }
}
