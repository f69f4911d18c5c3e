"""Defects of `ptx`."""

from . import planted

BASE = """
ptx.kernel @k {params = {x = "u64", n = "u32"}, reqntid = 128 : i32, dyn_smem = 1024 : i32} {
  %p = ptx.ld param.u64 [@x] : !ptx.reg<b64>
  %n = ptx.ld param.u32 [@n] : !ptx.reg<b32>
  %a = ptx.mov u32 sreg(tid.x) : !ptx.reg<b32>
  %f = ptx.mov f32 1.0 : !ptx.reg<f32>
  %c = ptx.setp lt.u32 %a, %n : !ptx.reg<pred>
  %s = ptx.add s32 %a, 1 : !ptx.reg<b32>
  %v = ptx.ld global.b32 [%p + 16] if %c else %s : !ptx.reg<b32>
  ptx.st global.v2.b32 [%p], {%v, %a} if not %c
  %k = ptx.pack %f, %f : !ptx.regs<f32, 2>
  %g, %h = ptx.unpack %k : !ptx.reg<f32>, !ptx.reg<f32>
  ptx.cbra %c, ^then(%s), ^done
^then(%t: !ptx.reg<b32>):
  ptx.bra ^done
^done:
  ptx.ret
}
"""
DEFECTS = [
    *planted(
        BASE,
        ("an unknown form", "ptx.add s32", "ptx.add s33", "'add.s33' is not in the instruction table"),
        ("an unknown opcode", "ptx.setp", "ptx.setq", "ptx.setq is not registered", "LLMC0001"),
        ("a register of another kind", "ptx.add s32 %a, 1", "ptx.add s32 %f, 1", "expected b32, got !ptx.reg<f32>"),
        ("missing operand", "ptx.add s32 %a, 1", "ptx.add s32 %a", "takes 2 operands, got 1"),
        ("an operand too many", "ptx.add s32 %a, 1", "ptx.add s32 %a, 1, 2", "takes 2 operands, got 3"),
        ("a vector of another length", "{%v, %a}", "{%v, %a, %a}", "expected 2 registers, got 3"),
        ("a store to no address", "[%p], {%v", "%p, {%v", "expected an address"),
        ("an address in a float", "[%p], {%v", "[%f], {%v", "an address is a b32 or b64 register"),
        ("a predicate that is a number", "if not %c", "if not %a", "the predicate must be a !ptx.reg<pred>"),
        ("else values of another number", "if %c else %s :", "if %c else %s, %s :", "2 else values for 1 results"),
        ("a result too many", "%c = ptx.setp lt.u32 %a, %n : !ptx.reg<pred>", "%c, %c1, %c2 = ptx.setp lt.u32 %a, %n : !ptx.reg<pred>, !ptx.reg<pred>, !ptx.reg<pred>", "results, the form has"),
        ("a result of another kind", "%s = ptx.add s32 %a, 1 : !ptx.reg<b32>", "%s = ptx.add s32 %a, 1 : !ptx.reg<b32>\n  %s2 = ptx.add s32 %a, 1 : !ptx.reg<f32>", "the form gives b32"),
        ("an unknown register kind", "ptx.mov f32 1.0 : !ptx.reg<f32>", "ptx.mov f32 1.0 : !ptx.reg<f33>", "unknown register kind 'f33'", "LLMC0001"),
        ("a parameter that is not there", "[@n]", "[@m]", "the kernel has no parameter 'm'"),
        ("a parameter of an unknown type", 'n = "u32"', 'n = "u33"', 'unknown type "u33"'),
        ("a parameter whose type is a number", 'n = "u32"', "n = 32 : i32", "unknown type 32 : i32"),
        ("more threads than a CTA has", "reqntid = 128", "reqntid = 1025", "a CTA has 1 to 1024 threads"),
        ("no threads", "reqntid = 128 : i32, ", "", "reqntid"),
        ("an array of another length", "%k = ptx.pack %f, %f : !ptx.regs<f32, 2>", "%k = ptx.pack %f, %f : !ptx.regs<f32, 3>", "with a register per operand"),
        ("an array of another kind", "ptx.pack %f, %f", "ptx.pack %f, %a", "every operand must be of kind f32"),
        ("too many registers out of an array", "%g, %h = ptx.unpack %k : !ptx.reg<f32>, !ptx.reg<f32>", "%g = ptx.unpack %k : !ptx.reg<f32>", "with a result per register"),
        ("a branch on a number", "ptx.cbra %c,", "ptx.cbra %a,", "the condition must be a !ptx.reg<pred>"),
        ("a branch without a value", "^then(%s),", "^then,", "0 values for 1 block arguments"),
        ("a branch with a value of another kind", "^then(%s),", "^then(%f),", "passed for a block argument of"),
        ("a branch to nowhere", "^done\n^then", "^gone\n^then", "gone", "LLMC0001"),
        ("a block without end", "  ptx.bra ^done\n", "  %u = ptx.mov u32 %t : !ptx.reg<b32>\n", "terminator"),
        ("use before definition", "ptx.add s32 %a, 1", "ptx.add s32 %v as !ptx.reg<b32>, 1", "used before it is defined", "LLMC0120"),
        ("a value of one branch in the other", "^done:\n  ptx.ret", "^done:\n  %u = ptx.mov u32 %t : !ptx.reg<b32>\n  ptx.ret", "used before it is defined", "LLMC0120"),
        ("an entry block with arguments", "dyn_smem = 1024 : i32} {\n", "dyn_smem = 1024 : i32} {\n^entry(%e: !ptx.reg<b32>):\n", "an entry block without arguments"),
    ),
]  # fmt: skip
