// RUN: %llmc-opt %s --pass-pipeline choose-schedules | filecheck %s

// Every kernel gets the first of its candidates; one that has a schedule keeps it.

builtin.module attributes {llmc.target = "sm_80"} {

nn.weight @w {
  %0 = nn.entry "w" : tensor<32x64xbf16>
  nn.yield %0 : tensor<32x64xbf16>
}
rt.program @encode attributes {sizes = ["T"], ranges = {T = [1 : i64, 16 : i64]}} {
  %x = rt.io "x" : !layout.buffer<["T", 64], bf16>
  %w = rt.param @w : !layout.buffer<[32, 64], bf16>
  %y = rt.io "y" : !layout.buffer<["T", 32], bf16>
  rt.launch @linear(%x, %w, %y) sizes ["T"] : (!layout.buffer<["T", 64], bf16>, !layout.buffer<[32, 64], bf16>, !layout.buffer<["T", 32], bf16>)
  rt.return
}
layout.kernel @linear(%x: !layout.buffer<["T", 64], bf16>, %w: !layout.buffer<[32, 64], bf16>, %y: !layout.buffer<["T", 32], bf16>, %T: i32) attributes {family = "linear", arg_effects = ["r", "r", "w"], sizes = ["T"], ranges = {T = [1 : i64, 16 : i64]}} {
  %0 = layout.read %x : !layout.buffer<["T", 64], bf16> -> tensor<?x64xbf16, #nn.dims<["T", "_"]>>
  %1 = layout.read %w : !layout.buffer<[32, 64], bf16> -> tensor<32x64xbf16>
  %2 = nn.linear %0, %1 : (tensor<?x64xbf16, #nn.dims<["T", "_"]>>, tensor<32x64xbf16>) -> tensor<?x32xbf16, #nn.dims<["T", "_"]>>
  layout.write %2, %y : tensor<?x32xbf16, #nn.dims<["T", "_"]>> -> !layout.buffer<["T", 32], bf16>
  layout.return
}
layout.kernel @chosen(%x: !layout.buffer<[64], bf16>, %y: !layout.buffer<[64], bf16>) attributes {family = "generic", arg_effects = ["r", "w"], sizes = [], schedule = #layout.schedule<"generic", {}>} {
  %0 = layout.read %x : !layout.buffer<[64], bf16> -> tensor<64xbf16>
  layout.write %0, %y : tensor<64xbf16> -> !layout.buffer<[64], bf16>
  layout.return
}
}

// CHECK: layout.kernel @linear({{.*}} schedule = #layout.schedule<"{{[a-z_]+}}", {{.*}}>
// CHECK: layout.kernel @chosen({{.*}} schedule = #layout.schedule<"generic", {}>
