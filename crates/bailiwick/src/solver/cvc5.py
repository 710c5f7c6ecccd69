"""Speaks SMT-LIB on standard input and output with the library cvc5, as the program `cvc5` does.

The package on PyPI has the library and no program. Bailiwick hands this text to a Python that has
the package (`policy.solver = ".../bin/python3"`). One answer follows each command that has one; on
the first command that can't be understood it says so and ends.
"""

import sys

import cvc5


class Session:
    """One solver with its parser; `(reset)` takes the place of it."""

    def __init__(self):
        self.solver = cvc5.Solver(cvc5.TermManager())
        self.parser = cvc5.InputParser(self.solver)
        self.symbols = self.parser.getSymbolManager()

    def run(self, text):
        self.parser.setStringInput(cvc5.InputLanguage.SMT_LIB_2_6, text, "stdin")
        while True:
            command = self.parser.nextCommand()
            if command.isNull():
                return
            answer = str(command.invoke(self.solver, self.symbols))
            if answer:
                sys.stdout.write(answer if answer.endswith("\n") else answer + "\n")
                sys.stdout.flush()


def commands(lines):
    """Whole commands: lines until every bracket is closed, outside of texts and comments."""
    held, depth, inside = [], 0, None
    for line in lines:
        held.append(line)
        for at in line:
            if inside == ";":
                inside = None if at == "\n" else inside
            elif inside:
                inside = None if at == inside else inside
            elif at in '";|':
                inside = at
            elif at in "()":
                depth += 1 if at == "(" else -1
        if depth <= 0 and inside is None:
            text = "".join(held)
            held = []
            if text.strip():
                yield text


def main():
    session = Session()
    for text in commands(sys.stdin):
        if text.strip() == "(reset)":
            session = Session()
            continue
        try:
            session.run(text)
        except Exception as error:
            said = " ".join(str(error).split()).replace('"', "'")
            sys.stdout.write(f'(error "Parse Error: {said}")\n')
            sys.stdout.flush()
            return 1
        if text.strip() == "(exit)":
            return 0
    return 0


sys.exit(main())
