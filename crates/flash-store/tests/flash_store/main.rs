//! The flash store on a model flash: behaviour, power cuts at every operation, damage, and anything at random.

mod behaviour;
mod damage;
mod measures;
mod power_cuts;
mod random;
mod shared;
mod truth;
