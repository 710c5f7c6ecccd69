//! Walks the syntax tree of shell text.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use brush_parser::ast::{
    AndOr, AndOrList, Assignment, AssignmentName, AssignmentValue, Command,
    CommandPrefixOrSuffixItem, CompoundCommand, CompoundList, ExtendedTestExpr, FunctionDefinition,
    IoFileRedirectKind, IoFileRedirectTarget, IoRedirect, Pipeline, Program, RedirectList,
    SimpleCommand, UnaryPredicate,
};
use brush_parser::{Parser, ParserOptions};

use super::word::{Value, join};
use super::{Analysis, MAX_COMMANDS, MAX_DEPTH, agreement, environment, limits};

impl Analysis {
    /// Reads shell text as a script of its own.
    pub(super) fn script(&mut self, text: &str) {
        if self.depth >= MAX_DEPTH {
            return self.doubt("commands are nested too deep");
        }
        if let Some(why) = limits::refuse(text) {
            return self.doubt(why);
        }
        let parsed: Result<Result<Program, _>, _> = catch_unwind(AssertUnwindSafe(|| {
            Parser::new(text.as_bytes(), &ParserOptions::default()).parse_program()
        }));
        let Ok(Ok(program)) = parsed else {
            return self.doubt("the text is not a shell command that can be parsed");
        };
        self.depth += 1;
        let outer = std::mem::take(&mut self.substitutions);
        for list in &program.complete_commands {
            self.list(list);
        }
        let found = std::mem::replace(&mut self.substitutions, outer);
        self.depth -= 1;
        // what is doubted already needs no second opinion
        if self.effects.undecidable.is_empty() {
            match agreement::agree(text, &program, &found) {
                Some(true) => {}
                Some(false) => self.doubt("two parsers read different commands from the text"),
                None => self.doubt("a second parser does not take the text for a shell command"),
            }
        }
    }

    /// Reads text that runs in a shell of its own: what it changes is gone afterwards.
    pub(super) fn nested(&mut self, text: &str) {
        self.apart(|analysis| analysis.script(text));
    }

    fn apart(&mut self, read: impl FnOnce(&mut Self)) {
        let (cwds, functions) = (self.cwds.clone(), self.functions.clone());
        // seen from within, what comes first has run before what comes next
        let certain = std::mem::replace(&mut self.certain, true);
        read(self);
        self.cwds = cwds;
        self.functions = functions;
        self.certain = certain;
    }

    /// Reads what may or may not run in this shell.
    fn perhaps(&mut self, read: impl FnOnce(&mut Self)) {
        let (before, certain) = (self.cwds.clone(), self.certain);
        self.certain = false;
        read(self);
        self.certain = certain;
        self.cwds = union(before, self.cwds.take());
    }

    fn list(&mut self, list: &CompoundList) {
        for item in &list.0 {
            if matches!(item.1, brush_parser::ast::SeparatorOperator::Async) {
                self.apart(|analysis| analysis.and_or(&item.0));
            } else {
                self.and_or(&item.0);
            }
        }
    }

    fn and_or(&mut self, list: &AndOrList) {
        let before = self.cwds.clone();
        self.pipeline(&list.first);
        let mut failed = before.clone();
        for next in &list.additional {
            match next {
                // after `cd x &&` the shell is in x, or this is not reached
                AndOr::And(pipeline) => {
                    self.uncertain(|analysis| analysis.pipeline(pipeline));
                    failed = union(failed, before.clone());
                }
                AndOr::Or(pipeline) => {
                    self.cwds = union(failed.clone(), self.cwds.take());
                    self.uncertain(|analysis| analysis.pipeline(pipeline));
                }
            }
        }
        // any of the commands may have failed, `cd` included
        self.cwds = union(before, self.cwds.take());
    }

    fn uncertain(&mut self, read: impl FnOnce(&mut Self)) {
        let certain = self.certain;
        self.certain = false;
        read(self);
        self.certain = certain;
    }

    fn pipeline(&mut self, pipeline: &Pipeline) {
        if let [only] = pipeline.seq.as_slice() {
            return self.command(only);
        }
        for command in &pipeline.seq {
            self.apart(|analysis| analysis.command(command));
        }
    }

    fn command(&mut self, command: &Command) {
        self.commands += 1;
        if self.commands > MAX_COMMANDS {
            return self.doubt(format!("there are more than {MAX_COMMANDS} commands"));
        }
        match command {
            Command::Simple(simple) => self.simple(simple),
            Command::Compound(compound, redirects) => {
                self.redirects(redirects.as_ref());
                self.compound(compound);
            }
            Command::Function(function) => self.function(function),
            Command::ExtendedTest(test, redirects) => {
                self.redirects(redirects.as_ref());
                self.test(&test.expr);
            }
        }
    }

    fn compound(&mut self, compound: &CompoundCommand) {
        match compound {
            CompoundCommand::Arithmetic(command) => self.arithmetic(&command.expr.value),
            CompoundCommand::ArithmeticForClause(clause) => {
                for part in
                    [&clause.initializer, &clause.condition, &clause.updater].into_iter().flatten()
                {
                    if let Some((name, _)) = part.value.split_once('=') {
                        self.numbers.insert(name.trim().to_owned());
                    }
                    self.arithmetic(&part.value);
                }
                self.perhaps(|analysis| analysis.list(&clause.body.list));
            }
            CompoundCommand::BraceGroup(group) => self.list(&group.list),
            CompoundCommand::Subshell(subshell) => {
                self.apart(|analysis| analysis.list(&subshell.list));
            }
            CompoundCommand::ForClause(clause) => {
                let mut numbers = clause.values.is_some();
                for value in clause.values.iter().flatten() {
                    let value = self.word(&value.value);
                    numbers &= value.known().is_some_and(is_number);
                }
                let known = if numbers { &mut self.numbers } else { &mut self.texts };
                known.insert(clause.variable_name.clone());
                self.check_name(&clause.variable_name, None);
                self.perhaps(|analysis| analysis.list(&clause.body.list));
            }
            CompoundCommand::CaseClause(clause) => {
                self.word(&clause.value.value);
                for case in &clause.cases {
                    for pattern in &case.patterns {
                        self.word(&pattern.value);
                    }
                    if let Some(list) = &case.cmd {
                        self.perhaps(|analysis| analysis.list(list));
                    }
                }
            }
            CompoundCommand::IfClause(clause) => {
                self.perhaps(|analysis| {
                    analysis.list(&clause.condition);
                    analysis.list(&clause.then);
                });
                for clause in clause.elses.iter().flatten() {
                    self.perhaps(|analysis| {
                        if let Some(condition) = &clause.condition {
                            analysis.list(condition);
                        }
                        analysis.list(&clause.body);
                    });
                }
            }
            CompoundCommand::WhileClause(clause) | CompoundCommand::UntilClause(clause) => {
                self.perhaps(|analysis| {
                    analysis.list(&clause.0);
                    analysis.list(&clause.1.list);
                });
                // a second turn starts where the first ended
                if self.cwds.as_ref().is_some_and(|cwds| cwds.len() > 1) {
                    self.cwds = None;
                }
            }
            CompoundCommand::Coprocess(coprocess) => {
                self.apart(|analysis| analysis.command(&coprocess.body));
            }
        }
        if matches!(
            compound,
            CompoundCommand::ForClause(_) | CompoundCommand::ArithmeticForClause(_)
        ) && self.cwds.as_ref().is_some_and(|cwds| cwds.len() > 1)
        {
            self.cwds = None;
        }
    }

    fn function(&mut self, function: &FunctionDefinition) {
        let body = &function.body;
        self.redirects(body.1.as_ref());
        // where it will be called from is not followed
        let cwds = self.cwds.take();
        let certain = std::mem::replace(&mut self.certain, false);
        let moved = std::mem::replace(&mut self.moved, false);
        self.compound(&body.0);
        // nor where the shell is after a call
        self.lost |= self.moved;
        self.moved |= moved;
        self.cwds = cwds;
        self.certain = certain;
        let name = function.fname.value.clone();
        if certain {
            self.functions.insert(name);
        } else {
            self.may_be_function.insert(name);
        }
    }

    fn simple(&mut self, simple: &SimpleCommand) {
        let mut argv = Vec::new();
        for item in simple.prefix.iter().flat_map(|prefix| &prefix.0) {
            self.item(item, &mut Vec::new(), true);
        }
        if let Some(name) = &simple.word_or_name {
            argv.push(self.word(&name.value));
        }
        for item in simple.suffix.iter().flat_map(|suffix| &suffix.0) {
            self.item(item, &mut argv, false);
        }
        if simple.word_or_name.is_some() {
            self.argv(&argv);
        }
    }

    fn item(&mut self, item: &CommandPrefixOrSuffixItem, argv: &mut Vec<Value>, prefix: bool) {
        match item {
            CommandPrefixOrSuffixItem::IoRedirect(redirect) => self.redirect(redirect),
            CommandPrefixOrSuffixItem::Word(word) => argv.push(self.word(&word.value)),
            CommandPrefixOrSuffixItem::AssignmentWord(assignment, word) => {
                if prefix {
                    self.assignment(assignment);
                } else {
                    // `export A=b`, or just an argument such as `of=x`
                    let value = self.word(&word.value);
                    if let AssignmentValue::Array(_) = assignment.value {
                        self.assignment(assignment);
                    }
                    argv.push(value);
                }
            }
            CommandPrefixOrSuffixItem::ProcessSubstitution(_, subshell) => {
                self.apart(|analysis| analysis.list(&subshell.list));
                argv.push(Value::Unknown);
            }
        }
    }

    fn assignment(&mut self, assignment: &Assignment) {
        let name = match &assignment.name {
            AssignmentName::VariableName(name) => name,
            AssignmentName::ArrayElementName(name, index) => {
                self.arithmetic(index);
                name
            }
        };
        match &assignment.value {
            AssignmentValue::Scalar(word) => {
                let value = self.word(&word.value);
                if assignment.append {
                    self.texts.insert(name.clone());
                }
                let arithmetic = word.value.starts_with("$((") && word.value.ends_with("))");
                if arithmetic {
                    self.numbers.insert(name.clone());
                    self.check_name(name, None);
                } else {
                    self.assign(name, &value);
                }
            }
            AssignmentValue::Array(items) => {
                for (key, item) in items {
                    if let Some(key) = key {
                        self.arithmetic(&key.value);
                    }
                    self.word(&item.value);
                }
                self.assign(name, &Value::Unknown);
            }
        }
    }

    /// Notes that a variable is given a value.
    pub(super) fn assign(&mut self, name: &str, value: &Value) {
        self.code_in_variables |= value.known().is_some_and(environment::holds_code);
        self.check_name(name, value.known());
        let known =
            if value.known().is_some_and(is_number) { &mut self.numbers } else { &mut self.texts };
        known.insert(name.to_owned());
    }

    pub(super) fn check_name(&mut self, name: &str, value: Option<&str>) {
        let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !plain {
            self.doubt("a variable's name is computed");
        } else if environment::steers(name, value) {
            self.doubt(format!("`{name}` changes what programs start, load or connect to"));
        }
    }

    fn redirects(&mut self, redirects: Option<&RedirectList>) {
        for redirect in redirects.iter().flat_map(|list| &list.0) {
            self.redirect(redirect);
        }
    }

    fn redirect(&mut self, redirect: &IoRedirect) {
        match redirect {
            IoRedirect::File(_, kind, target) => {
                let reads =
                    matches!(kind, IoFileRedirectKind::Read | IoFileRedirectKind::DuplicateInput);
                match target {
                    IoFileRedirectTarget::Filename(word) => {
                        let value = self.word(&word.value);
                        self.target(&value, reads);
                    }
                    IoFileRedirectTarget::Fd(_) => {}
                    IoFileRedirectTarget::ProcessSubstitution(_, subshell) => {
                        self.apart(|analysis| analysis.list(&subshell.list));
                    }
                    IoFileRedirectTarget::Duplicate(word) => {
                        let value = self.word(&word.value);
                        let digits = value.known().is_some_and(|text| {
                            let text = text.strip_suffix('-').unwrap_or(text);
                            text.bytes().all(|b| b.is_ascii_digit())
                        });
                        if !digits {
                            self.target(&value, reads);
                        }
                    }
                }
            }
            IoRedirect::HereDocument(_, document) => {
                if document.requires_expansion {
                    self.here_document(&document.doc.value);
                }
            }
            IoRedirect::HereString(_, word) => {
                self.word(&word.value);
            }
            IoRedirect::OutputAndError(word, _) => {
                let value = self.word(&word.value);
                self.target(&value, false);
            }
        }
    }

    fn target(&mut self, value: &Value, reads: bool) {
        let Some(path) = value.known() else {
            return self.doubt("where a redirection goes is only known at run time");
        };
        if path.starts_with("/dev/tcp/") || path.starts_with("/dev/udp/") {
            self.effects.connects.insert(path.chars().take(9).collect());
        } else if reads {
            self.secret_read(path);
            for place in self.places(path).unwrap_or_else(|| vec![path.to_owned()]) {
                self.effects.reads.insert(place);
            }
        } else {
            self.writes(value);
        }
    }

    /// Notes that a path is written.
    pub(super) fn writes(&mut self, value: &Value) {
        match value.text().map(|path| self.places(path)) {
            Some(Some(places)) => self.effects.writes.extend(places),
            Some(None) => {
                self.doubt("from which directory a file is written is only known at run time");
            }
            None => self.doubt("which file is written is only known at run time"),
        }
    }

    /// Notes that the shell changes its directory.
    pub(super) fn change_directory(&mut self, value: Option<&Value>) {
        self.moved = true;
        self.cwds = match (value.and_then(Value::known), self.cwds.take()) {
            (Some("-") | None, _) | (_, None) => None,
            (Some(path), Some(cwds)) => {
                Some(cwds.iter().map(|cwd| join(cwd, path)).collect::<BTreeSet<_>>())
                    .filter(|set| set.len() <= 8)
            }
        };
    }

    fn test(&mut self, expression: &ExtendedTestExpr) {
        match expression {
            ExtendedTestExpr::And(left, right) | ExtendedTestExpr::Or(left, right) => {
                self.test(left);
                self.test(right);
            }
            ExtendedTestExpr::Not(inner) | ExtendedTestExpr::Parenthesized(inner) => {
                self.test(inner);
            }
            ExtendedTestExpr::UnaryTest(predicate, word) => {
                let value = self.word(&word.value);
                let variable = matches!(
                    predicate,
                    UnaryPredicate::ShellVariableIsSetAndAssigned
                        | UnaryPredicate::ShellVariableIsSetAndNameRef
                );
                if variable && !value.known().is_some_and(is_identifier) {
                    self.doubt("a test evaluates a subscript");
                }
            }
            ExtendedTestExpr::BinaryTest(predicate, left, right) => {
                let arithmetic = format!("{predicate:?}").starts_with("Arithmetic");
                for word in [left, right] {
                    let value = self.word(&word.value);
                    if arithmetic {
                        match value.known() {
                            Some(text) => {
                                let text = text.to_owned();
                                self.arithmetic(&text);
                            }
                            None => self.doubt("a test evaluates text as arithmetic"),
                        }
                    }
                }
            }
        }
    }
}

fn union(a: Option<BTreeSet<String>>, b: Option<BTreeSet<String>>) -> Option<BTreeSet<String>> {
    let (mut a, b) = (a?, b?);
    a.extend(b);
    (a.len() <= 8).then_some(a)
}

pub(super) fn is_number(text: &str) -> bool {
    !text.is_empty() && text.len() < 10 && text.bytes().all(|b| b.is_ascii_digit())
}

pub(super) fn is_identifier(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
