//! The user variables a template uses.

use std::collections::BTreeSet;

use super::parse::{Node, Operand, Pipeline};

pub(super) fn in_node(node: &Node, found: &mut BTreeSet<String>) {
    match node {
        Node::Text(_) => {}
        Node::Output(pipeline) => in_pipeline(pipeline, found),
        Node::If { branches, otherwise } => {
            for (condition, body) in branches {
                in_pipeline(condition, found);
                in_nodes(body, found);
            }
            in_nodes(otherwise, found);
        }
        Node::Range { over: value, body, otherwise } | Node::With { value, body, otherwise } => {
            in_pipeline(value, found);
            in_nodes(body, found);
            in_nodes(otherwise, found);
        }
    }
}

fn in_nodes(nodes: &[Node], found: &mut BTreeSet<String>) {
    for node in nodes {
        in_node(node, found);
    }
}

fn in_pipeline(pipeline: &Pipeline, found: &mut BTreeSet<String>) {
    let mut piped: Option<&str> = None;
    for command in pipeline {
        if let Some(Operand::Function(name)) = command.first()
            && name == "user"
        {
            match command.get(1) {
                Some(Operand::Text(name)) => found.extend([name.clone()]),
                _ => found.extend(piped.map(str::to_owned)),
            }
        }
        piped = match command.as_slice() {
            [Operand::Text(text)] => Some(text),
            _ => None,
        };
        for operand in command {
            if let Operand::Pipeline(inner) = operand {
                in_pipeline(inner, found);
            }
        }
    }
}
