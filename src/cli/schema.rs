//! `rosterd schema`: the schemas of the files and of both APIs.

use super::args::{SchemaArgs, SchemaName};
use super::{CliError, exit, output};
use crate::render::json::pretty;
use crate::{config, roster, sandbox, web};

pub fn run(args: &SchemaArgs) -> Result<u8, CliError> {
    let text = match args.which {
        SchemaName::Users => pretty(&roster::schema::schema()),
        SchemaName::Config => pretty(&config::schema()),
        SchemaName::Graphql => sandbox::schema::sdl(),
        SchemaName::Openapi => web::openapi::document(),
    };
    output::result(&text)?;
    Ok(exit::OK)
}
