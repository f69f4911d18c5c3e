// RUN: %llmc-opt %s --pass-pipeline lower-weights | filecheck %s

// Two entries are joined into one image by a program that runs once, when a model is loaded.

builtin.module attributes {llmc.target = "sm_80"} {
nn.weight @qk {
  %0 = nn.entry "q" : tensor<32x64xbf16>
  %1 = nn.entry "k" : tensor<16x64xbf16>
  %2 = nn.concat %0, %1 {axis = 0 : i64} : (tensor<32x64xbf16>, tensor<16x64xbf16>) -> tensor<48x64xbf16>
  nn.yield %2 : tensor<48x64xbf16>
}
rt.program @encode attributes {sizes = []} {
  %w = rt.param @qk : !layout.buffer<[48, 64], bf16>
  rt.return
}
}

// CHECK-NOT: nn.weight
// CHECK:     rt.weight @qk : !layout.buffer<[48, 64], bf16>
// CHECK:     rt.program @encode
// CHECK:     rt.program @load attributes {sizes = []} {
// CHECK:     rt.upload "q"
// CHECK:     rt.upload "k"
// CHECK:     rt.launch
// CHECK:     rt.return
