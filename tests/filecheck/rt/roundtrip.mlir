// RUN: %llmc-opt %s | %llmc-opt - | filecheck %s
// RUN: %llmc-opt %s --mlir-print-op-generic | %llmc-opt - | filecheck %s

// Every op of rt: weights in memory, and a program of launches.

// CHECK: rt.weight @embed : !layout.buffer<[512, 64], bf16>
rt.weight @embed : !layout.buffer<[512, 64], bf16>
// CHECK: rt.weight @half : !layout.buffer<[2], f32> = dense<[1.000000e+00, 2.000000e+00]> : tensor<2xf32>
rt.weight @half : !layout.buffer<[2], f32> = dense<[1.000000e+00, 2.000000e+00]> : tensor<2xf32>
layout.kernel @gather(%ids: !layout.buffer<["T"], i32>, %table: !layout.buffer<[512, 64], bf16>, %out: !layout.buffer<["T", 64], bf16>, %T: i32) attributes {family = "gather", arg_effects = ["r", "r", "w"], sizes = ["T"]} {
  layout.return
}
layout.kernel @boxes(%ids: !layout.buffer<["T"], i32>, %table: !layout.buffer<[512, 64], bf16>, %out: !layout.buffer<["T", 64], bf16>, %T: i32) attributes {family = "gather", arg_effects = ["r", "r", "w"], sizes = ["T"]} {
  layout.return
}
layout.kernel @nothing() attributes {family = "generic", arg_effects = [], sizes = []} {
  layout.return
}
// CHECK: rt.program @decode attributes {sizes = ["B", "T"], ranges = {T = [1 : i64, 8 : i64]}} {
rt.program @decode attributes {sizes = ["B", "T"], ranges = {T = [1 : i64, 8 : i64]}} {
  // CHECK: %ids = rt.io "ids" : !layout.buffer<["T"], i32>
  %ids = rt.io "ids" : !layout.buffer<["T"], i32>
  // CHECK: %0 = rt.param @embed : !layout.buffer<[512, 64], bf16>
  %0 = rt.param @embed : !layout.buffer<[512, 64], bf16>
  // CHECK: %1 = rt.temp : !layout.buffer<[512, 64], bf16>
  %1 = rt.temp : !layout.buffer<[512, 64], bf16>
  // CHECK: rt.upload "model.embed.weight" to %1 : !layout.buffer<[512, 64], bf16>
  rt.upload "model.embed.weight" to %1 : !layout.buffer<[512, 64], bf16>
  // CHECK: %arena = rt.arena ["128 * T", "max(128 * T, 100)"]
  %arena = rt.arena ["128 * T", "max(128 * T, 100)"]
  // CHECK: %2 = rt.view %arena[1] : !layout.buffer<["T", 64], bf16>
  %2 = rt.view %arena[1] : !layout.buffer<["T", 64], bf16>
  // CHECK: %3 = rt.reinterpret %2 : !layout.buffer<["T", 64], bf16> -> !layout.buffer<["T", 2, 32], bf16>
  %3 = rt.reinterpret %2 : !layout.buffer<["T", 64], bf16> -> !layout.buffer<["T", 2, 32], bf16>
  // CHECK: rt.launch @gather(%ids, %0, %2) grid ["1", "ceildiv(T, 2)", "1"] sizes ["T"] for "T" in [2, 4]
  rt.launch @gather(%ids, %0, %2) grid ["1", "ceildiv(T, 2)", "1"] sizes ["T"] for "T" in [2, 4] : (!layout.buffer<["T"], i32>, !layout.buffer<[512, 64], bf16>, !layout.buffer<["T", 64], bf16>)
  // CHECK: rt.launch @boxes(%ids, %0, %2) grid ["1", "1", "1"] maps [#layout.tensor_map<buffer = 1, box = [16, 32], swizzle = 64>] sizes ["T"] : (
  rt.launch @boxes(%ids, %0, %2) grid ["1", "1", "1"] maps [#layout.tensor_map<buffer = 1, box = [16, 32], swizzle = 64>] sizes ["T"] : (!layout.buffer<["T"], i32>, !layout.buffer<[512, 64], bf16>, !layout.buffer<["T", 64], bf16>)
  // CHECK: rt.launch @nothing() : ()
  rt.launch @nothing() : ()
  // CHECK: rt.return
  rt.return
}
