"""Defects of `nn`."""

from . import planted

DECODER = """
#t = #nn.dims<["T", "_"]>
#h = #nn.dims<["T", "_", "_"]>
nn.weight @w {
  %0 = nn.entry "model.w" : tensor<128x64xbf16>
  nn.yield %0 : tensor<128x64xbf16>
}
nn.weight @table {
  %0 = nn.entry "model.table" : tensor<512x64xbf16>
  nn.yield %0 : tensor<512x64xbf16>
}
func.func @decoder(%ids: tensor<?xi32, #nn.dims<["T"]>>, %b: !nn.batch<"T", "B">, %kv: !nn.state<token, tensor<2x2x16xbf16>>, %k: tensor<?x2x16xbf16, #h>, %q: tensor<?x4x16xbf16, #h>, %g: tensor<64xbf16>, %cos: tensor<?x16xf32, #t>, %s: !nn.sampling, %m: tensor<?x?xi1, #nn.dims<["T", "T"]>>) -> !nn.state<token, tensor<2x2x16xbf16>> {
  %table = nn.param @table : tensor<512x64xbf16>
  %x = nn.embedding %ids, %table : (tensor<?xi32, #nn.dims<["T"]>>, tensor<512x64xbf16>) -> tensor<?x64xbf16, #t>
  %n = nn.rms_norm %x, %g {eps = 1.000000e-06 : f64} : (tensor<?x64xbf16, #t>, tensor<64xbf16>) -> tensor<?x64xbf16, #t>
  %w = nn.param @w : tensor<128x64xbf16>
  %y = nn.linear %n, %w : (tensor<?x64xbf16, #t>, tensor<128x64xbf16>) -> tensor<?x128xbf16, #t>
  %r = nn.rope %q, %cos, %cos : (tensor<?x4x16xbf16, #h>, tensor<?x16xf32, #t>, tensor<?x16xf32, #t>) -> tensor<?x4x16xbf16, #h>
  %kv1 = nn.append %kv, %k, %k, %b : (!nn.state<token, tensor<2x2x16xbf16>>, tensor<?x2x16xbf16, #h>, tensor<?x2x16xbf16, #h>, !nn.batch<"T", "B">) -> !nn.state<token, tensor<2x2x16xbf16>>
  %o = nn.attention %r state(%kv1) batch(%b) {scale = 2.500000e-01 : f64, mask = #nn.mask<causal = true, window = 4096>} : (tensor<?x4x16xbf16, #h>, !nn.state<token, tensor<2x2x16xbf16>>, !nn.batch<"T", "B">) -> tensor<?x4x16xbf16, #h>
  %p = nn.attention %r keys(%k, %k) mask(%m) {scale = 2.500000e-01 : f64, mask = #nn.mask<causal = false>} : (tensor<?x4x16xbf16, #h>, tensor<?x2x16xbf16, #h>, tensor<?x2x16xbf16, #h>, tensor<?x?xi1, #nn.dims<["T", "T"]>>) -> tensor<?x4x16xbf16, #h>
  %l = nn.select_token %y, %b : (tensor<?x128xbf16, #t>, !nn.batch<"T", "B">) -> tensor<?x128xbf16, #nn.dims<["B", "_"]>>
  %d = nn.sample %l, %b, %s : (tensor<?x128xbf16, #nn.dims<["B", "_"]>>, !nn.batch<"T", "B">, !nn.sampling) -> tensor<?xi32, #nn.dims<["B"]>>
  func.return %kv1 : !nn.state<token, tensor<2x2x16xbf16>>
}
"""
APPEND = '%kv1 = nn.append %kv, %k, %k, %b : (!nn.state<token, tensor<2x2x16xbf16>>, tensor<?x2x16xbf16, #h>, tensor<?x2x16xbf16, #h>, !nn.batch<"T", "B">) -> !nn.state<token, tensor<2x2x16xbf16>>'
STATE = """
#h = #nn.dims<["T", "_", "_"]>
!s = !nn.state<token, tensor<2x2x16xbf16>>
!k = tensor<?x2x16xbf16, #h>
!b = !nn.batch<"T", "B">
!m = tensor<?x?xi1, #nn.dims<["T", "T"]>>
func.func @state(%kv: !s, %k: !k, %b: !b, %m: !m) -> !s {
  %0 = nn.append %kv, %k, %k, %b : (!s, !k, !k, !b) -> !s
  %1 = nn.attention %k keys(%k, %k) mask(%m) {scale = 1.000000e+00 : f64, mask = #nn.mask<causal = false>} : (!k, !k, !k, !m) -> !k
  func.return %0 : !s
}
"""
SHAPES = """
func.func @shapes(%x: tensor<4x8xf32>, %i: tensor<4xi32>, %c: tensor<4x8xi1>, %s: tensor<4x16xf32>, %f: tensor<6x2x3xf32>) {
  %0 = nn.add %x, %x : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  %1 = nn.select %c, %x, %x : (tensor<4x8xi1>, tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  %2 = nn.cmp %x, %x {predicate = "lt"} : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xi1>
  %3 = nn.transpose %x {perm = array<i64: 1, 0>} : (tensor<4x8xf32>) -> tensor<8x4xf32>
  %4 = nn.slice %x {axis = 1 : i64, start = "2", stop = "8"} : (tensor<4x8xf32>) -> tensor<4x6xf32>
  %5 = nn.concat %x, %x {axis = 0 : i64} : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<8x8xf32>
  %6 = nn.gather %x, %i {axis = 0 : i64} : (tensor<4x8xf32>, tensor<4xi32>) -> tensor<4x8xf32>
  %7 = nn.reduce %x {kind = "add", axes = array<i64: 1>} : (tensor<4x8xf32>) -> tensor<4xf32>
  %8, %9 = nn.topk %x {k = 4 : i64} : (tensor<4x8xf32>) -> (tensor<4x4xf32>, tensor<4x4xi32>)
  %10 = nn.softmax %x {axis = 1 : i64} : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %11 = nn.reshape %x : (tensor<4x8xf32>) -> tensor<2x16xf32>
  %12 = nn.constant dense<1.000000e+00> : tensor<4xf32>
  %13 = nn.conv1d %s, %f {padding = 1 : i64, groups = 2 : i64} : (tensor<4x16xf32>, tensor<6x2x3xf32>) -> tensor<6x16xf32>
  %14 = nn.size {size = "T"} : () -> tensor<i32>
  func.return
}
"""
DEFECTS = [
    *planted(
        DECODER,
        ("two updaters of a state", APPEND, f"{APPEND}\n  {APPEND.replace('%kv1', '%kv2')}", "both update one state"),
        ("the old state is returned", "func.return %kv1", "func.return %kv", "func.return reads a state after nn.append has updated it"),
        ("the old state is read", "state(%kv1)", "state(%kv)", "nn.attention reads a state after nn.append has updated it"),
        ("use before definition", "%n = nn.rms_norm %x", "%n = nn.rms_norm %n", "operand 0 of nn.rms_norm is used before it", "LLMC0120"),
        ("undefined value", "nn.linear %n,", "nn.linear %nothing,", "used but never defined", "LLMC0001"),
        ("duplicate symbol", "nn.weight @table {", "nn.weight @w {\n  %1 = nn.entry \"v\" : tensor<4xf32>\n  nn.yield %1 : tensor<4xf32>\n}\nnn.weight @table {", 'Redefinition of symbol "w"'),
        ("unknown weight", "nn.param @w :", "nn.param @v :", "nn.param names @v, which is no nn.weight"),
        ("a parameter that is a function", "nn.param @w :", "nn.param @decoder :", "nn.param names @decoder, which is no nn.weight"),
        ("a parameter of another type", "  nn.yield %0 : tensor<128x64xbf16>", "  %1 = nn.cast %0 : (tensor<128x64xbf16>) -> tensor<128x64xf32>\n  nn.yield %1 : tensor<128x64xf32>", "but the weight is"),
        ("missing terminator of a weight", "  nn.yield %0 : tensor<128x64xbf16>\n", "", "terminator"),
        ("a weight of two values", "nn.yield %0 : tensor<128x64xbf16>", "nn.yield %0, %0 : tensor<128x64xbf16>, tensor<128x64xbf16>", "ends in nn.yield of one value"),
        ("missing operand", "nn.linear %n, %w : (tensor<?x64xbf16, #t>, tensor<128x64xbf16>)", "nn.linear %n : (tensor<?x64xbf16, #t>)", "Expected 2 or 3 operands"),
        ("contraction of other sizes", "nn.linear %n, %w :", "nn.linear %n, %table :", "operand is used with type", "LLMC0001"),
        ("a size that is named otherwise", 'func.func @decoder(%ids: tensor<?xi32, #nn.dims<["T"]>>', 'func.func @decoder(%ids: tensor<?xi32, #nn.dims<["B"]>>', "operand is used with type", "LLMC0001"),
        ("a size not in normal form", '#t = #nn.dims<["T", "_"]>', '#t = #nn.dims<["1 + T", "_"]>', "not in normal form", "LLMC0001"),
        ("a static size in the encoding", '#t = #nn.dims<["T", "_"]>', '#t = #nn.dims<["4", "_"]>', "a size that is a number stands in the shape", "LLMC0001"),
        ("more names than dimensions", '#t = #nn.dims<["T", "_"]>', '#t = #nn.dims<["T", "_", "_"]>', "but its operands make it"),
        ("a name where the shape says it", '#t = #nn.dims<["T", "_"]>', '#t = #nn.dims<["T", "D"]>', "but its operands make it"),
        ("a result that the operands do not make", "-> tensor<?x4x16xbf16, #h>\n  %kv1", "-> tensor<?x4x8xbf16, #h>\n  %kv1", "operand is used with type", "LLMC0001"),
        ("a mask that sees nothing", "window = 4096", "window = 0", "a window holds at least one key", "LLMC0001"),
        ("a scale that is a word", "scale = 2.500000e-01 : f64, mask = #nn.mask<causal = true", 'scale = "big", mask = #nn.mask<causal = true', "should be of base attribute float"),
        ("no scale", "scale = 2.500000e-01 : f64, mask = #nn.mask<causal = true", "mask = #nn.mask<causal = true", "scale"),
        ("a state without a batch", 'state(%kv1) batch(%b) {scale = 2.500000e-01 : f64, mask = #nn.mask<causal = true, window = 4096>} : (tensor<?x4x16xbf16, #h>, !nn.state<token, tensor<2x2x16xbf16>>, !nn.batch<"T", "B">)', "state(%kv1) {scale = 2.500000e-01 : f64, mask = #nn.mask<causal = true, window = 4096>} : (tensor<?x4x16xbf16, #h>, !nn.state<token, tensor<2x2x16xbf16>>)", "needs a batch"),
        ("a state that is no key and value", "%kv: !nn.state<token, tensor<2x2x16xbf16>>", "%kv: !nn.state<token, tensor<3x2x16xbf16>>", "2 x heads x head size", "LLMC0001"),
        ("a state kept for nobody", "%kv: !nn.state<token,", "%kv: !nn.state<layer,", "per 'token' or per 'sequence'", "LLMC0001"),
        ("a token that is neither first nor last", "nn.select_token %y, %b :", 'nn.select_token %y, %b {which = "middle"} :', 'which = "last" or "first"'),
        ("an epsilon of a wrong kind", "eps = 1.000000e-06 : f64", "eps = 1 : i64", "should be of base attribute float"),
        ("unknown op", "nn.rope", "nn.spin", "nn.spin is not registered", "LLMC0001"),
    ),
    *planted(
        STATE,
        ("keys of another element type than the state", "!k = tensor<?x2x16xbf16, #h>", "!k = tensor<?x2x16xf32, #h>", "nn.append of f32 to a state of bf16"),
        ("keys of other heads than the state", "!k = tensor<?x2x16xbf16, #h>", "!k = tensor<?x4x16xbf16, #h>", "nn.append of [T, 4, 16] to a state that takes [T, 2, 16]"),
        ("keys of other tokens than the batch", '!b = !nn.batch<"T", "B">', '!b = !nn.batch<"N", "B">', "to a state that takes [N, 2, 16]"),
        ("a mask of other sizes", '!m = tensor<?x?xi1, #nn.dims<["T", "T"]>>', '!m = tensor<?x?xi1, #nn.dims<["T", "S"]>>', "the mask of nn.attention is [T, T]"),
        ("a mask of integers", '!m = tensor<?x?xi1,', '!m = tensor<?x?xi32,', "the mask of nn.attention is i1 or float"),
    ),
    *planted(
        SHAPES,
        ("operands of two element types", "%0 = nn.add %x, %x : (tensor<4x8xf32>, tensor<4x8xf32>)", "%0 = nn.add %x, %c : (tensor<4x8xf32>, tensor<4x8xi1>)", "operands of one element type"),
        ("three operands of a binary op", "%0 = nn.add %x, %x : (tensor<4x8xf32>, tensor<4x8xf32>)", "%0 = nn.add %x, %x, %x : (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>)", "takes 2 operands, not 3"),
        ("a float that chooses", "nn.select %c, %x, %x : (tensor<4x8xi1>,", "nn.select %x, %x, %x : (tensor<4x8xf32>,", "chooses by i1"),
        ("an unknown predicate", 'predicate = "lt"', 'predicate = "less"', "needs a predicate"),
        ("no predicate", '{predicate = "lt"} ', "", "needs a predicate"),
        ("no permutation", "array<i64: 1, 0>", "array<i64: 1, 1>", "is no permutation of 2 dimensions"),
        ("a slice beyond the end", 'stop = "8"', 'stop = "9"', "up to 9 of a dimension of 8"),
        ("a slice of nonsense", 'stop = "8"', 'stop = "8 8"', "is not a size"),
        ("a slice that stands still", 'stop = "8"}', 'stop = "8", step = 0 : i64}', "steps forward"),
        ("an axis outside", "nn.softmax %x {axis = 1 : i64}", "nn.softmax %x {axis = 2 : i64}", "axis 2 is outside"),
        ("an axis that is a word", "nn.softmax %x {axis = 1 : i64}", 'nn.softmax %x {axis = "last"}', "should be of base attribute integer"),
        ("an index of floats", "nn.gather %x, %i {axis = 0 : i64} : (tensor<4x8xf32>, tensor<4xi32>)", "nn.gather %x, %x {axis = 0 : i64} : (tensor<4x8xf32>, tensor<4x8xf32>)", "takes an integer index"),
        ("an unknown reduction", 'kind = "add"', 'kind = "sum"', "has no kind 'sum'"),
        ("axes twice", "axes = array<i64: 1>", "axes = array<i64: 1, 1>", "over axes [1, 1]"),
        ("more than there are", "k = 4 : i64", "k = 9 : i64", "takes 9 of 8"),
        ("one result of two", "%8, %9 = nn.topk %x {k = 4 : i64} : (tensor<4x8xf32>) -> (tensor<4x4xf32>, tensor<4x4xi32>)", "%8 = nn.topk %x {k = 4 : i64} : (tensor<4x8xf32>) -> tensor<4x4xf32>", "Expected 2 results"),
        ("a reshape that loses elements", "-> tensor<2x16xf32>", "-> tensor<2x15xf32>", "changes the number of elements"),
        ("a constant of another shape", "dense<1.000000e+00> : tensor<4xf32>", "dense<[1.000000e+00, 2.000000e+00]> : tensor<4xf32>", "Shape mismatch", "LLMC0001"),
        ("groups that do not divide", "groups = 2 : i64", "groups = 3 : i64", "in 3 groups"),
        ("outputs that groups do not divide", "tensor<6x2x3xf32>) -> tensor<6x16xf32>", "tensor<6x2x3xf32>) -> tensor<6x17xf32>", "but its operands make it"),
        ("a size of nothing", '{size = "T"}', '{size = ""}', "is not a size"),
        ("a dynamic dimension without a name", "%14 = nn.size", "%15 = nn.iota {axis = 0 : i64} : () -> tensor<?xi32>\n  %14 = nn.size", "a dynamic dimension needs a name"),
        ("missing terminator of a function", "  func.return\n", "", "terminator"),
    ),
]  # fmt: skip
