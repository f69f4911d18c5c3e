// RUN: %llmc-opt %s --pass-pipeline 'outline-kernels' | filecheck %s

// Replace each fusion.group by a fusion.launch of a fusion.kernel; groups of equal structure (locations aside) share one.

func.func @main(%x: tensor<2x8xbf16>) -> tensor<16xbf16> {
  %0 = fusion.group "pointwise" (%a = %x : tensor<2x8xbf16>) -> tensor<16xbf16> {
    %1 = nn.reshape %a : (tensor<2x8xbf16>) -> tensor<16xbf16>
    fusion.yield %1 : tensor<16xbf16>
  }
  func.return %0 : tensor<16xbf16>
}

// CHECK:      fusion.kernel @pointwise_a9468d82(%a: tensor<2x8xbf16>) -> tensor<16xbf16> attributes {family = "pointwise"} {
// CHECK-NEXT: %0 = nn.reshape %a : (tensor<2x8xbf16>) -> tensor<16xbf16>
// CHECK-NEXT: fusion.return %0 : tensor<16xbf16>
// CHECK:      func.func @main(%x: tensor<2x8xbf16>) -> tensor<16xbf16> {
// CHECK-NEXT: %0 = fusion.launch @pointwise_a9468d82(%x) : (tensor<2x8xbf16>) -> tensor<16xbf16>
// CHECK-NEXT: func.return %0 : tensor<16xbf16>
