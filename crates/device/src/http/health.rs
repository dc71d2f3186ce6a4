//! `/api/v1/health`: what went wrong so far, and how much is left.

use protocol::messages::Health;

use super::Service;
use crate::board::{Board, Marks};

impl<B: Board> Service<'_, B> {
    /// Answers `health`, with what board and slots know.
    pub(super) fn health(&self) -> Health {
        let Marks {
            samples_lost,
            flash_stop_us,
            stack_free_bytes,
            heap_free_bytes,
        } = self.board.marks();
        let slots = self.slots.borrow();
        Health {
            starts: slots.starts(),
            firmware_confirmed: slots.is_confirmed(),
            samples_lost,
            flash_stop_us,
            stack_free_bytes,
            heap_free_bytes,
            connections_ended: self.crowd.ended(),
            ..self.meter.borrow().health()
        }
    }
}
