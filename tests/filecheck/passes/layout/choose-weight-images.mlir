// RUN: %llmc-opt %s --mlir-print-local-scope --pass-pipeline 'choose-schedules,choose-weight-images' | filecheck %s

// The weight lies in memory as the schedule wants it, here with the elements of an mma fragment side by side; so does the kernel's argument.

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
}

// CHECK: %w = rt.param @w : !layout.buffer<[32, 64], bf16, #layout.mem<{{.+}}>>
// CHECK: layout.kernel @linear({{.*}}, %w: !layout.buffer<[32, 64], bf16, #layout.mem<{{.+}}>>,
