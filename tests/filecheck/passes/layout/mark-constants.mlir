// RUN: %llmc-opt %s --pass-pipeline=mark-constants | filecheck %s
// A weight is no constant of a kernel where its program writes it, nor where another launch gives the kernel something else.

rt.weight @w : !layout.buffer<[64], f32>
rt.program @run attributes {sizes = []} {
  %w = rt.param @w : !layout.buffer<[64], f32>
  %y = rt.io "y" : !layout.buffer<[64], f32>
  rt.launch @reads(%w, %y) sizes [] : (!layout.buffer<[64], f32>, !layout.buffer<[64], f32>)
  rt.launch @sometimes(%w, %y) sizes [] : (!layout.buffer<[64], f32>, !layout.buffer<[64], f32>)
  rt.launch @sometimes(%y, %y) sizes [] : (!layout.buffer<[64], f32>, !layout.buffer<[64], f32>)
  rt.return
}
rt.program @load attributes {sizes = []} {
  %w = rt.param @w : !layout.buffer<[64], f32>
  %y = rt.io "y" : !layout.buffer<[64], f32>
  rt.launch @written(%w, %w) sizes [] : (!layout.buffer<[64], f32>, !layout.buffer<[64], f32>)
  rt.return
}
// CHECK: layout.kernel @reads
// CHECK-SAME: constants = array<i64: 0>
layout.kernel @reads(%a: !layout.buffer<[64], f32>, %b: !layout.buffer<[64], f32>) attributes {family = "pointwise", arg_effects = ["r", "w"], sizes = []} {
  %0 = layout.read %a : !layout.buffer<[64], f32> -> tensor<64xf32>
  layout.write %0, %b : tensor<64xf32> -> !layout.buffer<[64], f32>
  layout.return
}
// CHECK: layout.kernel @sometimes
// CHECK-NOT: constants
layout.kernel @sometimes(%a: !layout.buffer<[64], f32>, %b: !layout.buffer<[64], f32>) attributes {family = "pointwise", arg_effects = ["r", "w"], sizes = []} {
  %0 = layout.read %a : !layout.buffer<[64], f32> -> tensor<64xf32>
  layout.write %0, %b : tensor<64xf32> -> !layout.buffer<[64], f32>
  layout.return
}
// CHECK: layout.kernel @written
layout.kernel @written(%a: !layout.buffer<[64], f32>, %b: !layout.buffer<[64], f32>) attributes {family = "pointwise", arg_effects = ["r", "w"], sizes = []} {
  %0 = layout.read %a : !layout.buffer<[64], f32> -> tensor<64xf32>
  layout.write %0, %b : tensor<64xf32> -> !layout.buffer<[64], f32>
  layout.return
}
