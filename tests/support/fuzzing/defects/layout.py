"""Defects of `layout`."""

from . import planted

BASE = """
layout.kernel @attend(%x: !layout.buffer<["T", 64], bf16>, %w: !layout.buffer<[32, 64], bf16, #layout.mem<[[32, 1]], [[64, 32]]>>, %k: !layout.buffer<["P", 2, 64, 16], bf16>, %p: !layout.buffer<["T"], i32>, %t: !layout.buffer<["B", 16], i32>, %y: !layout.buffer<["T", 96], bf16>, %B: i32, %P: i32, %T: i32) attributes {family = "attention", arg_effects = ["r", "r", "rw", "r", "r", "w"], sizes = ["B", "P", "T"], ranges = {T = [1 : i64, 4 : i64]}, schedule = #layout.schedule<"skinny", {warps = 8}>, grid = ["4", "ceildiv(T, 2)", "1"]} {
  %0 = layout.read %x : !layout.buffer<["T", 64], bf16> -> tensor<?x64xbf16, #nn.dims<["T", "_"]>>
  %1 = layout.batch positions = %p, page_table = %t : (!layout.buffer<["T"], i32>, !layout.buffer<["B", 16], i32>) -> !nn.batch<"T", "B">
  %2 = layout.state %k, %k : !layout.buffer<["P", 2, 64, 16], bf16>, !layout.buffer<["P", 2, 64, 16], bf16> -> !nn.state<token, tensor<2x2x16xbf16>>
  layout.write %0, %y at [0, 32] : tensor<?x64xbf16, #nn.dims<["T", "_"]>> -> !layout.buffer<["T", 96], bf16>
  layout.write_state %2, %k, %k : !nn.state<token, tensor<2x2x16xbf16>> -> !layout.buffer<["P", 2, 64, 16], bf16>, !layout.buffer<["P", 2, 64, 16], bf16>
  layout.return
}
layout.kernel @draw(%a: !layout.buffer<["B"], f32>, %b: !layout.buffer<["B"], i32>, %f: !layout.buffer<["B", 8], i32>, %B: i32) attributes {family = "sample", arg_effects = ["r", "rw", "rw"], sizes = ["B"]} {
  %0 = layout.sampling %a, %b, %a, %b : !layout.buffer<["B"], f32>, !layout.buffer<["B"], i32>, !layout.buffer<["B"], f32>, !layout.buffer<["B"], i32> -> !nn.sampling
  layout.advance(%b, %f, %b, %b, %b, %b, %b, %b, %f) : (!layout.buffer<["B"], i32>, !layout.buffer<["B", 8], i32>, !layout.buffer<["B"], i32>, !layout.buffer<["B"], i32>, !layout.buffer<["B"], i32>, !layout.buffer<["B"], i32>, !layout.buffer<["B"], i32>, !layout.buffer<["B"], i32>, !layout.buffer<["B", 8], i32>)
  layout.return
}
"""
DEFECTS = [
    *planted(
        BASE,
        ("an effect too few", '["r", "r", "rw", "r", "r", "w"]', '["r", "r", "rw", "r", "r"]', "6 buffers, 5 effects"),
        ("an unknown effect", '["r", "r", "rw",', '["r", "r", "x",', "effect 'x' is none of r, w, rw"),
        ("a write to what is read only", '["r", "r", "rw", "r", "r", "w"]', '["r", "r", "rw", "r", "r", "r"]', "layout.write writes to a buffer whose effect is r"),
        ("a state in a pool that is read only", '["r", "r", "rw", "r", "r", "w"]', '["r", "r", "r", "r", "r", "w"]', "layout.write_state writes to a buffer whose effect is r"),
        ("sizes out of order", 'sizes = ["B", "P", "T"]', 'sizes = ["T", "P", "B"]', "are not sorted and distinct"),
        ("a size that is no argument", 'sizes = ["B", "P", "T"]', 'sizes = ["B", "P", "Q"]', "buffers use the sizes ['T'], which are no arguments"),
        ("a size argument too few", ", %P: i32, %T: i32)", ", %P: i32)", "one i32 per name in sizes"),
        ("a size argument of another type", "%T: i32)", "%T: i64)", "one i32 per name in sizes"),
        ("a grid of two", '["4", "ceildiv(T, 2)", "1"]', '["4", "1"]', "a grid has three expressions"),
        ("a grid of nonsense", "ceildiv(T, 2)", "ceildiv(T 2)", "no size expression"),
        ("a range of one", "T = [1 : i64, 4 : i64]", "T = [1 : i64]", "the range of T is [smallest, largest]"),
        ("a range that is empty", "T = [1 : i64, 4 : i64]", "T = [4 : i64, 1 : i64]", "the range of T is [smallest, largest]"),
        ("a schedule of nothing", '#layout.schedule<"skinny", {warps = 8}>', '#layout.schedule<"skinny">', "syntax error", "LLMC0001"),
        ("a schedule with a float", "{warps = 8}", "{warps = 8.5}", "syntax error", "LLMC0001"),
        ("a schedule that is a word", '#layout.schedule<"skinny", {warps = 8}>', '"skinny"', "schedule"),
        ("a buffer that its layout does not hold", "!layout.buffer<[32, 64], bf16, #layout.mem<[[32, 1]], [[64, 32]]>>", "!layout.buffer<[33, 64], bf16, #layout.mem<[[32, 1]], [[64, 32]]>>", "dimension 0 is 33, its layout holds 32", "LLMC0001"),
        ("a layout of another rank", "#layout.mem<[[32, 1]], [[64, 32]]>", "#layout.mem<[[32, 1]]>", "has a layout of rank 1", "LLMC0001"),
        ("a digit of three", "#layout.mem<[[32, 1]], [[64, 32]]>", "#layout.mem<[[32, 1, 1]], [[64, 32]]>", "a memory digit is [size, stride]", "LLMC0001"),
        ("a dynamic size that is not the first", '["T", 96]', '[96, "T"]', "only the leading one may be", "LLMC0001"),
        ("a read of another type", '-> tensor<?x64xbf16, #nn.dims<["T", "_"]>>\n', '-> tensor<?x64xf32, #nn.dims<["T", "_"]>>\n', "operand is used with type", "LLMC0001"),
        ("a write outside", "at [0, 32]", "at [0, 33]", "axis 1: [33, 97) leaves the buffer's 96"),
        ("a write in the midst of a dynamic axis", "at [0, 32]", "at [1, 32]", "a dynamic axis is written whole"),
        ("a batch of nothing", 'positions = %p, page_table = %t : (!layout.buffer<["T"], i32>, !layout.buffer<["B", 16], i32>)', "oops = %p : (!layout.buffer<[\"T\"], i32>)", "'oops' is no part of a batch", "LLMC0001"),
        ("positions of rank 2", 'positions = %p, page_table = %t : (!layout.buffer<["T"], i32>, !layout.buffer<["B", 16], i32>)', 'positions = %t : (!layout.buffer<["B", 16], i32>)', "positions is a buffer of i32 of rank 1"),
        ("pools of another element type", "-> !nn.state<token, tensor<2x2x16xbf16>>\n", "-> !nn.state<token, tensor<2x2x16xf32>>\n", "operand is used with type", "LLMC0001"),
        ("temperatures that are integers", "layout.sampling %a, %b, %a, %b : !layout.buffer<[\"B\"], f32>", "layout.sampling %b, %b, %a, %b : !layout.buffer<[\"B\"], i32>", "temperature is a buffer of f32 of rank 1"),
        ("a ring that is a line", 'layout.advance(%b, %f, %b, %b, %b, %b, %b, %b, %f) : (!layout.buffer<["B"], i32>, !layout.buffer<["B", 8], i32>', 'layout.advance(%b, %b, %b, %b, %b, %b, %b, %b, %f) : (!layout.buffer<["B"], i32>, !layout.buffer<["B"], i32>', "eos is a buffer of i32 of rank 2"),
        ("missing operand", 'layout.advance(%b, %f, %b, %b, %b, %b, %b, %b, %f) : (!layout.buffer<["B"], i32>, ', "layout.advance(%f, %b, %b, %b, %b, %b, %b, %f) : (", "is no valid IR", "LLMC0001"),
        ("missing terminator", "  layout.return\n", "", "terminator"),
        ("duplicate symbol", "layout.kernel @draw", "layout.kernel @attend", 'Redefinition of symbol "attend"'),
    ),
]  # fmt: skip
