"""Defects of `rt`."""

from . import planted

BASE = """
rt.weight @embed : !layout.buffer<[512, 64], bf16>
rt.weight @half : !layout.buffer<[2], f32> = dense<[1.000000e+00, 2.000000e+00]> : tensor<2xf32>
layout.kernel @gather(%ids: !layout.buffer<["T"], i32>, %table: !layout.buffer<[512, 64], bf16>, %out: !layout.buffer<["T", 64], bf16>, %T: i32) attributes {family = "gather", arg_effects = ["r", "r", "w"], sizes = ["T"]} {
  layout.return
}
rt.program @decode attributes {sizes = ["B", "T"], ranges = {T = [1 : i64, 8 : i64]}} {
  %ids = rt.io "ids" : !layout.buffer<["T"], i32>
  %0 = rt.param @embed : !layout.buffer<[512, 64], bf16>
  %1 = rt.temp : !layout.buffer<[512, 64], bf16>
  rt.upload "model.embed.weight" to %1 : !layout.buffer<[512, 64], bf16>
  %arena = rt.arena ["128 * T", "max(128 * T, 100)"]
  %2 = rt.view %arena[1] : !layout.buffer<["T", 64], bf16>
  %3 = rt.reinterpret %2 : !layout.buffer<["T", 64], bf16> -> !layout.buffer<["T", 2, 32], bf16>
  rt.launch @gather(%ids, %0, %2) grid ["1", "ceildiv(T, 2)", "1"] sizes ["T"] for "T" in [2, 4] : (!layout.buffer<["T"], i32>, !layout.buffer<[512, 64], bf16>, !layout.buffer<["T", 64], bf16>)
  rt.return
}
"""
DEFECTS = [
    *planted(
        BASE,
        ("unknown kernel", "rt.launch @gather", "rt.launch @scatter", "no symbol @scatter in the module", "LLMC0101"),
        ("a launch of a weight", "rt.launch @gather", "rt.launch @embed", "which is a rt.weight, no kernel"),
        ("a launch of other buffers", "rt.launch @gather(%ids, %0, %2)", "rt.launch @gather(%ids, %0, %3)", "operand is used with type", "LLMC0001"),
        ("buffers in another order", 'rt.launch @gather(%ids, %0, %2) grid ["1", "ceildiv(T, 2)", "1"] sizes ["T"] for "T" in [2, 4] : (!layout.buffer<["T"], i32>, !layout.buffer<[512, 64], bf16>,', 'rt.launch @gather(%0, %ids, %2) grid ["1", "ceildiv(T, 2)", "1"] sizes ["T"] for "T" in [2, 4] : (!layout.buffer<[512, 64], bf16>, !layout.buffer<["T"], i32>,', "the kernel takes"),
        ("a size too many", ' sizes ["T"] for', ' sizes ["B", "T"] for', "passes 2 sizes, not 1"),
        ("a size that the program lacks", ' sizes ["T"] for', ' sizes ["Q"] for', "a launch passes the size Q"),
        ("a grid of two", 'grid ["1", "ceildiv(T, 2)", "1"]', 'grid ["1", "1"]', "a grid has three expressions"),
        ("a range backwards", "in [2, 4]", "in [4, 2]", "the range of T is [smallest, largest]"),
        ("unknown weight", "rt.param @embed", "rt.param @embedding", "no symbol @embedding in the module", "LLMC0101"),
        ("a parameter that is a kernel", "rt.param @embed", "rt.param @gather", "which is a layout.kernel, no weight"),
        ("a parameter of another weight", "rt.param @embed", "rt.param @half", "but the weight is !layout.buffer<[2], f32>"),
        ("a weight of dynamic size", "rt.weight @embed : !layout.buffer<[512, 64], bf16>", 'rt.weight @embed : !layout.buffer<["T", 64], bf16>', "a weight has static sizes"),
        ("content of another size", "tensor<2xf32>", "tensor<3xf32>", "Shape mismatch", "LLMC0001"),
        ("content of another element type", "dense<[1.000000e+00, 2.000000e+00]> : tensor<2xf32>", "dense<[1, 2]> : tensor<2xi32>", "the value is tensor<2xi32>"),
        ("a slot that is not there", "%arena[1]", "%arena[2]", "slot 2 of an arena of 2"),
        ("a view larger than its slot", "max(128 * T, 100)", "max(64 * T, 100)", "takes 128 bytes where its slot, max(64 * T, 100), has 100"),
        ("an io of two types", '%0 = rt.param', '%4 = rt.io "ids" : !layout.buffer<[4], i32>\n  %0 = rt.param', 'rt.io "ids" is both'),
        ("an empty grid", 'grid ["1", "ceildiv(T, 2)", "1"]', 'grid ["1", "0", "1"]', "at least one CTA along each axis"),
        ("a grid by zero", "ceildiv(T, 2)", "ceildiv(T, 0)", "divides by zero"),
        ("a grid of a size that the program lacks", "ceildiv(T, 2)", "ceildiv(Q, 2)", "the grid uses the sizes ['Q']"),
        ("a slot of nonsense", '"128 * T"', '"128 T"', "no size expression"),
        ("a view of no arena", "rt.view %arena[1]", "rt.view %ids[1]", "operand is used with type", "LLMC0001"),
        ("an upload to a dynamic buffer", "to %1 : !layout.buffer<[512, 64], bf16>", 'to %ids : !layout.buffer<["T"], i32>', "row-major and static"),
        ("a reinterpretation of other elements", '-> !layout.buffer<["T", 2, 32], bf16>', '-> !layout.buffer<["T", 2, 32], f32>', "reinterpreting keeps the element type"),
        ("a program without sizes", 'sizes = ["B", "T"], ', "", "sizes"),
        ("missing terminator", "  rt.return\n", "", "terminator"),
        ("an op outside a program", "rt.weight @embed :", '%z = rt.io "z" : !layout.buffer<[4], i32>\nrt.weight @embed :', "rt.program"),
        ("use before definition", "rt.upload \"model.embed.weight\" to %1", "rt.upload \"model.embed.weight\" to %4 : !layout.buffer<[512, 64], bf16>\n  %4 = rt.temp : !layout.buffer<[512, 64], bf16>\n  rt.upload \"w\" to %1", "used before", "LLMC0120"),
        ("duplicate symbol", "rt.weight @half", "rt.weight @embed", 'Redefinition of symbol "embed"'),
    ),
]  # fmt: skip
