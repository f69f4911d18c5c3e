// RUN: %llmc-opt %s | %llmc-opt - | filecheck %s
// RUN: %llmc-opt %s --mlir-print-op-generic | %llmc-opt - | filecheck %s

// Every op of layout: what a kernel reads and writes, and how its buffers lie in memory.

// CHECK: layout.kernel @attend(%x: !layout.buffer<["T", 64], bf16>, %w: !layout.buffer<[32, 64], bf16, #layout.mem<{{\[\[}}32, 1]],
layout.kernel @attend(%x: !layout.buffer<["T", 64], bf16>, %w: !layout.buffer<[32, 64], bf16, #layout.mem<[[32, 1]], [[64, 32]]>>, %k: !layout.buffer<["P", 2, 64, 16], bf16>, %v: !layout.buffer<["P", 2, 64, 16], bf16>, %p: !layout.buffer<["T"], i32>, %s: !layout.buffer<["T"], i32>, %q: !layout.buffer<["B+1"], i32>, %l: !layout.buffer<["B"], i32>, %t: !layout.buffer<["B", 16], i32>, %y: !layout.buffer<["T", 96], bf16>, %B: i32, %P: i32, %T: i32) attributes {family = "attention", arg_effects = ["r", "r", "rw", "rw", "r", "r", "r", "r", "r", "w"], sizes = ["B", "P", "T"], ranges = {T = [1 : i64, 4 : i64]}, schedule = #layout.schedule<"skinny", {warps = 8, kind = "a", tile = [1, 2], wide = true}>, grid = ["4", "ceildiv(T, 2)", "1"]} {
  // CHECK: %0 = layout.read %x : !layout.buffer<["T", 64], bf16> -> tensor<?x64xbf16, #nn.dims<["T", "_"]>>
  %0 = layout.read %x : !layout.buffer<["T", 64], bf16> -> tensor<?x64xbf16, #nn.dims<["T", "_"]>>
  // CHECK: %1 = layout.batch positions = %p, sequence = %s, query_start = %q, kv_len = %l, page_table = %t
  %1 = layout.batch positions = %p, sequence = %s, query_start = %q, kv_len = %l, page_table = %t : (!layout.buffer<["T"], i32>, !layout.buffer<["T"], i32>, !layout.buffer<["B+1"], i32>, !layout.buffer<["B"], i32>, !layout.buffer<["B", 16], i32>) -> !nn.batch<"T", "B">
  // CHECK: %2 = layout.state %k, %v
  %2 = layout.state %k, %v : !layout.buffer<["P", 2, 64, 16], bf16>, !layout.buffer<["P", 2, 64, 16], bf16> -> !nn.state<token, tensor<2x2x16xbf16>>
  // CHECK: layout.write %0, %y at [0, 32] : tensor<?x64xbf16, #nn.dims<["T", "_"]>> -> !layout.buffer<["T", 96], bf16>
  layout.write %0, %y at [0, 32] : tensor<?x64xbf16, #nn.dims<["T", "_"]>> -> !layout.buffer<["T", 96], bf16>
  // CHECK: layout.write_state %2, %k, %v
  layout.write_state %2, %k, %v : !nn.state<token, tensor<2x2x16xbf16>> -> !layout.buffer<["P", 2, 64, 16], bf16>, !layout.buffer<["P", 2, 64, 16], bf16>
  // CHECK: layout.return
  layout.return
}
// CHECK: layout.kernel @draw(%a: !layout.buffer<["B"], f32>, %b: !layout.buffer<["B"], i32>, %c: !layout.buffer<["B"], f32>, %d:
layout.kernel @draw(%a: !layout.buffer<["B"], f32>, %b: !layout.buffer<["B"], i32>, %c: !layout.buffer<["B"], f32>, %d: !layout.buffer<["B"], i32>, %e: !layout.buffer<["B"], i32>, %f: !layout.buffer<["B", 8], i32>, %B: i32) attributes {family = "sample", arg_effects = ["r", "r", "r", "r", "rw", "rw"], sizes = ["B"]} {
  // CHECK: %0 = layout.sampling %a, %b, %c, %d
  %0 = layout.sampling %a, %b, %c, %d : !layout.buffer<["B"], f32>, !layout.buffer<["B"], i32>, !layout.buffer<["B"], f32>, !layout.buffer<["B"], i32> -> !nn.sampling
  // CHECK: layout.advance(%b, %f, %b, %e, %e, %e, %e, %e, %f)
  layout.advance(%b, %f, %b, %e, %e, %e, %e, %e, %f) : (!layout.buffer<["B"], i32>, !layout.buffer<["B", 8], i32>, !layout.buffer<["B"], i32>, !layout.buffer<["B"], i32>, !layout.buffer<["B"], i32>, !layout.buffer<["B"], i32>, !layout.buffer<["B"], i32>, !layout.buffer<["B"], i32>, !layout.buffer<["B", 8], i32>)
  // CHECK: layout.return
  layout.return
}
// CHECK: layout.kernel @mapped(%x: !layout.buffer<["T", 64], bf16>, %T: i32) attributes {family = "linear", {{.*}}maps = [#layout.tensor_map<buffer = 0, box = [32, 64], swizzle = 128>]}
layout.kernel @mapped(%x: !layout.buffer<["T", 64], bf16>, %T: i32) attributes {family = "linear", arg_effects = ["r"], sizes = ["T"], maps = [#layout.tensor_map<buffer = 0, box = [32, 64], swizzle = 128>]} {
  // CHECK: layout.return
  layout.return
}
