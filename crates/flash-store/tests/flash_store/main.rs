//! What a store must hold, on the model of a NOR flash.

mod behaviour;
mod damage;
mod erasing;
mod life;
mod lost_files;
mod measures;
mod mutants;
mod power_cuts;
mod random;
mod refusals;
mod salvage;
mod stretches;
mod truth;
