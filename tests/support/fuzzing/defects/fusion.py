"""Defects of `fusion`."""

from . import planted

BASE = """
fusion.kernel @double(%x: tensor<4xf32>, %y: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) attributes {family = "pointwise"} {
  %z = nn.add %x, %y : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  fusion.return %z, %x : tensor<4xf32>, tensor<4xf32>
}
fusion.kernel @remember(%kv: !nn.state<token, tensor<2x1x4xf32>>) -> !nn.state<token, tensor<2x1x4xf32>> attributes {family = "generic"} {
  fusion.return %kv : !nn.state<token, tensor<2x1x4xf32>>
}
func.func @main(%a: tensor<4xf32>, %kv: !nn.state<token, tensor<2x1x4xf32>>) -> !nn.state<token, tensor<2x1x4xf32>> {
  %c, %d = fusion.launch @double(%a, %a) : (tensor<4xf32>, tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>)
  %e = fusion.group "pointwise" (%p = %c : tensor<4xf32>) -> tensor<4xf32> {
    %r = nn.neg %p : (tensor<4xf32>) -> tensor<4xf32>
    fusion.yield %r : tensor<4xf32>
  }
  %kv1 = fusion.launch @remember(%kv) : (!nn.state<token, tensor<2x1x4xf32>>) -> !nn.state<token, tensor<2x1x4xf32>>
  func.return %kv1 : !nn.state<token, tensor<2x1x4xf32>>
}
"""
DEFECTS = [
    *planted(
        BASE,
        ("unknown kernel", "fusion.launch @double", "fusion.launch @treble", "no symbol @treble in the module", "LLMC0101"),
        ("a launch of a function", "fusion.launch @double", "fusion.launch @main", "which is a func.func, no fusion.kernel"),
        ("a launch of other types", "(%a, %a) : (tensor<4xf32>, tensor<4xf32>)", "(%a) : (tensor<4xf32>)", "differ from the kernel's type"),
        ("duplicate symbol", "fusion.kernel @remember", "fusion.kernel @double", 'Redefinition of symbol "double"'),
        ("two launches update a state", "func.return %kv1", "%kv2 = fusion.launch @remember(%kv) : (!nn.state<token, tensor<2x1x4xf32>>) -> !nn.state<token, tensor<2x1x4xf32>>\n  func.return %kv1", "fusion.launch and fusion.launch both update one state"),
        ("the old state is returned", "func.return %kv1", "func.return %kv", "func.return reads a state after fusion.launch has updated it"),
        ("unknown family of a kernel", 'family = "pointwise"', 'family = "magic"', 'family "magic" is none of'),
        ("unknown family of a group", 'fusion.group "pointwise"', 'fusion.group "magic"', 'family "magic" is none of'),
        ("no family", ' attributes {family = "pointwise"}', "", "needs attributes {family", "LLMC0001"),
        ("a kernel that returns too little", "fusion.return %z, %x : tensor<4xf32>, tensor<4xf32>", "fusion.return %z : tensor<4xf32>", "the results are"),
        ("a kernel without end", "  fusion.return %z, %x : tensor<4xf32>, tensor<4xf32>\n", "", "terminator"),
        ("a kernel that ends as a group does", "fusion.return %z, %x", "fusion.yield %z, %x", "fusion.group"),
        ("a group that gives another type", "fusion.yield %r : tensor<4xf32>", "fusion.yield", "the results are"),
        ("a group that reads what is outside", "nn.neg %p", "nn.neg %a", "IsolatedFromAbove"),
        ("a kernel argument of another type", "fusion.kernel @double(%x: tensor<4xf32>", "fusion.kernel @double(%x: tensor<5xf32>", "operand is used with type", "LLMC0001"),
        ("use before definition", "(%p = %c : tensor<4xf32>)", "(%p = %e : tensor<4xf32>)", "used before", "LLMC0120"),
    ),
]  # fmt: skip
