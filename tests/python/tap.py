"""Runs the tests of a module and reports in TAP."""
import sys
import unittest


class TapResult(unittest.TestResult):
    n = 0

    def _line(self, good: bool, test: object, more: str = "") -> None:
        self.n += 1
        print(f"{'' if good else 'not '}ok {self.n} - {test}{more}", flush=True)

    def addSuccess(self, test):
        self._line(True, name(test))

    def addSkip(self, test, reason):
        self._line(True, name(test), f" # SKIP {reason}")

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._line(False, name(test))
        print("".join(f"# {line}\n" for line in self.failures[-1][1].splitlines()), end="", flush=True)

    addError = addFailure

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self.addFailure(subtest, err)


def name(test) -> str:
    return test.id().removeprefix("__main__.").replace("#", "number ")


def main() -> None:
    suite = unittest.defaultTestLoader.loadTestsFromModule(sys.modules["__main__"])
    result = TapResult()
    suite.run(result)
    print(f"1..{result.n}")
    sys.exit(0 if result.wasSuccessful() and result.n else 1)
