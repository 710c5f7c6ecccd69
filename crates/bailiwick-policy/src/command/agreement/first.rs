//! The view of the parser whose tree is judged.

use brush_parser::ast::{
    AndOr, AndOrList, Command, CommandPrefixOrSuffixItem, CompoundCommand, CompoundList,
    ExtendedTestExpr, IoFileRedirectKind, IoFileRedirectTarget, IoRedirect, Pipeline, Program,
    RedirectList, SimpleCommand, SubshellCommand,
};

use super::{Item, View, bare};

pub(super) fn view(program: &Program) -> View {
    let mut view = View::default();
    for list in &program.complete_commands {
        view.list(list);
    }
    view
}

impl View {
    fn word(&mut self, text: &str) {
        self.items.push(Item::Word(bare(text)));
    }

    fn list(&mut self, list: &CompoundList) {
        for item in &list.0 {
            self.and_or(&item.0);
        }
    }

    fn and_or(&mut self, list: &AndOrList) {
        self.pipeline(&list.first);
        for next in &list.additional {
            match next {
                AndOr::And(pipeline) | AndOr::Or(pipeline) => self.pipeline(pipeline),
            }
        }
    }

    fn pipeline(&mut self, pipeline: &Pipeline) {
        for command in &pipeline.seq {
            self.command(command);
        }
    }

    fn command(&mut self, command: &Command) {
        match command {
            Command::Simple(simple) => self.simple(simple),
            Command::Compound(compound, redirects) => {
                self.compound(compound);
                self.redirects(redirects.as_ref());
            }
            Command::Function(function) => {
                self.word(&function.fname.value);
                self.compound(&function.body.0);
                self.redirects(function.body.1.as_ref());
            }
            Command::ExtendedTest(test, redirects) => {
                let mut operands = String::new();
                operands_of(&test.expr, &mut operands);
                self.items.push(Item::Test(bare(&operands)));
                self.redirects(redirects.as_ref());
            }
        }
    }

    fn compound(&mut self, compound: &CompoundCommand) {
        match compound {
            CompoundCommand::Arithmetic(command) => {
                self.items.push(Item::Arithmetic(bare(&command.expr.value)));
            }
            CompoundCommand::ArithmeticForClause(clause) => {
                let parts = [&clause.initializer, &clause.condition, &clause.updater];
                let text: Vec<&str> = parts
                    .into_iter()
                    .map(|part| part.as_ref().map_or("", |part| part.value.as_str()))
                    .collect();
                self.items.push(Item::Arithmetic(bare(&text.join(";"))));
                self.list(&clause.body.list);
            }
            CompoundCommand::BraceGroup(group) => self.list(&group.list),
            CompoundCommand::Subshell(subshell) => self.list(&subshell.list),
            CompoundCommand::ForClause(clause) => {
                self.word(&clause.variable_name);
                for value in clause.values.iter().flatten() {
                    self.word(&value.value);
                }
                self.list(&clause.body.list);
            }
            CompoundCommand::CaseClause(clause) => {
                self.word(&clause.value.value);
                for case in &clause.cases {
                    for pattern in &case.patterns {
                        self.word(&pattern.value);
                    }
                    if let Some(list) = &case.cmd {
                        self.list(list);
                    }
                }
            }
            CompoundCommand::IfClause(clause) => {
                self.list(&clause.condition);
                self.list(&clause.then);
                for clause in clause.elses.iter().flatten() {
                    if let Some(condition) = &clause.condition {
                        self.list(condition);
                    }
                    self.list(&clause.body);
                }
            }
            CompoundCommand::WhileClause(clause) | CompoundCommand::UntilClause(clause) => {
                self.list(&clause.0);
                self.list(&clause.1.list);
            }
            CompoundCommand::Coprocess(coprocess) => self.command(&coprocess.body),
        }
    }

    fn simple(&mut self, simple: &SimpleCommand) {
        for item in simple.prefix.iter().flat_map(|prefix| &prefix.0) {
            self.item(item);
        }
        if let Some(name) = &simple.word_or_name {
            self.items.push(Item::Name(bare(&name.value)));
        }
        for item in simple.suffix.iter().flat_map(|suffix| &suffix.0) {
            self.item(item);
        }
    }

    fn item(&mut self, item: &CommandPrefixOrSuffixItem) {
        match item {
            CommandPrefixOrSuffixItem::IoRedirect(redirect) => self.redirect(redirect),
            CommandPrefixOrSuffixItem::Word(word)
            | CommandPrefixOrSuffixItem::AssignmentWord(_, word) => self.word(&word.value),
            CommandPrefixOrSuffixItem::ProcessSubstitution(_, subshell) => self.process(subshell),
        }
    }

    fn process(&mut self, subshell: &SubshellCommand) {
        self.items.push(Item::Process);
        self.list(&subshell.list);
    }

    fn redirects(&mut self, redirects: Option<&RedirectList>) {
        for redirect in redirects.iter().flat_map(|list| &list.0) {
            self.redirect(redirect);
        }
    }

    fn redirect(&mut self, redirect: &IoRedirect) {
        let operator = match redirect {
            IoRedirect::File(_, kind, _) => match kind {
                IoFileRedirectKind::Read => "<",
                IoFileRedirectKind::Write => ">",
                IoFileRedirectKind::Append => ">>",
                IoFileRedirectKind::ReadAndWrite => "<>",
                IoFileRedirectKind::Clobber => ">|",
                IoFileRedirectKind::DuplicateInput => "<&",
                IoFileRedirectKind::DuplicateOutput => ">&",
            },
            IoRedirect::HereDocument(_, document) if document.remove_tabs => "<<-",
            IoRedirect::HereDocument(..) => "<<",
            IoRedirect::HereString(..) => "<<<",
            IoRedirect::OutputAndError(_, true) => "&>>",
            IoRedirect::OutputAndError(_, false) => "&>",
        };
        self.items.push(Item::Redirect(operator.to_owned()));
        match redirect {
            IoRedirect::File(_, _, target) => match target {
                IoFileRedirectTarget::Filename(word) | IoFileRedirectTarget::Duplicate(word) => {
                    self.word(&word.value);
                }
                IoFileRedirectTarget::Fd(fd) => self.word(&fd.to_string()),
                IoFileRedirectTarget::ProcessSubstitution(_, subshell) => self.process(subshell),
            },
            IoRedirect::HereDocument(_, document) => {
                self.word(&document.here_end.value);
                self.documents.push(bare(&document.doc.value));
            }
            IoRedirect::HereString(_, word) | IoRedirect::OutputAndError(word, _) => {
                self.word(&word.value);
            }
        }
    }
}

fn operands_of(expression: &ExtendedTestExpr, operands: &mut String) {
    match expression {
        ExtendedTestExpr::And(left, right) | ExtendedTestExpr::Or(left, right) => {
            operands_of(left, operands);
            operands_of(right, operands);
        }
        ExtendedTestExpr::Not(inner) | ExtendedTestExpr::Parenthesized(inner) => {
            operands_of(inner, operands);
        }
        ExtendedTestExpr::UnaryTest(_, word) => operands.push_str(&word.value),
        ExtendedTestExpr::BinaryTest(_, left, right) => {
            operands.push_str(&left.value);
            operands.push_str(&right.value);
        }
    }
}
