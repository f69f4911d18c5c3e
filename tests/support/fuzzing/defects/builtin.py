"""Defects of what every level shares: symbols, dominance, functions, loops."""

from . import planted

BASE = """
func.func private @other(f32) -> f32
func.func @main(%n: index, %x: f32, %c: i1) -> f32 {
  %zero = arith.constant 0 : index
  %one = arith.constant 1 : index
  %r = scf.for %i = %zero to %n step %one iter_args(%acc = %x) -> (f32) {
    %s = arith.addf %acc, %x : f32
    scf.yield %s : f32
  }
  %q = scf.if %c -> (f32) {
    scf.yield %r : f32
  } else {
    scf.yield %x : f32
  }
  %y = func.call @other(%q) : (f32) -> f32
  cf.cond_br %c, ^a, ^b(%y : f32)
^a:
  %z = arith.mulf %y, %y : f32
  cf.br ^b(%z : f32)
^b(%w: f32):
  func.return %w : f32
}
"""
DEFECTS = [
    *planted(
        BASE,
        ("use before definition", "%s = arith.addf %acc, %x", "%s = arith.addf %s, %x", "operand 0 of arith.addf is used before it", "LLMC0120"),
        ("a value of one branch at the join", "func.return %w", "func.return %z", "used before it is defined", "LLMC0120"),
        ("operands of two types", "arith.mulf %y, %y : f32", "arith.mulf %y, %c : f32", "operand is used with type", "LLMC0001"),
        ("a loop that yields another type", "scf.yield %s : f32", "scf.yield %c : i1", "scf.for"),
        ("a branch that yields nothing", "    scf.yield %r : f32\n", "", "scf.yield gives (), where (f32) is expected"),
        ("a return of another type", "func.return %w : f32", "func.return %c : i1", "Expected arguments to have the same types"),
        ("a return of nothing", "func.return %w : f32", "func.return", "Expected arguments to have the same types"),
        ("a branch with a value of another type", "^b(%z : f32)", "^b(%c : i1)", "cf.br passes (i1), where (f32) is expected"),
        ("a block without end", "  cf.br ^b(%z : f32)\n", "", "terminator"),
        ("duplicate symbol", "func.func @main", "func.func @other", 'Redefinition of symbol "other"'),
        ("a call of nothing", "func.call @other", "func.call @another", "another"),
        ("a string without end", "func.func private @other", 'func.func private @"other', "syntax error", "LLMC0001"),
    ),
]  # fmt: skip
