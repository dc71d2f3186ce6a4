//! What a store must hold, on the model of a NOR flash.

mod behaviour;
mod damage;
mod life;
mod lost_files;
mod measures;
mod mutants;
mod power_cuts;
mod random;
mod refusals;
mod salvage;
mod truth;
