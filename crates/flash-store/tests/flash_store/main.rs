//! The flash store on a model flash.

mod power_cuts;
mod truth;
