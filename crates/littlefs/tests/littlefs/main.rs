//! Files on LittleFS: what they hold, and what cuts and damage leave of them.

mod calls;
mod cuts;
mod damage;
mod figures;
mod model;
mod scenarios;
