//! The server behind the binary `pixel`: arguments become settings, settings become a running
//! server.

pub mod api;
pub mod backup;
pub mod bucket;
pub mod cli;
pub mod config;
pub mod docs_pages;
pub mod doctor;
pub mod filesystem;
pub mod logs;
pub mod people;
pub mod run;
pub mod signals;
pub mod simulate;
