// RUN: %llmc-opt %s --pass-pipeline 'flatten-rows' | filecheck %s

// Fold the leading dimensions of linears, embeddings and norms into one, and of the pointwise ops between them.

func.func @main(%x: tensor<2x3x8xbf16>, %w: tensor<4x8xbf16>) -> tensor<2x3x4xbf16> {
  %0 = nn.linear %x, %w {acc = f32} : (tensor<2x3x8xbf16>, tensor<4x8xbf16>) -> tensor<2x3x4xbf16>
  %1 = nn.relu %0 : (tensor<2x3x4xbf16>) -> tensor<2x3x4xbf16>
  func.return %1 : tensor<2x3x4xbf16>
}

// CHECK:      func.func @main(%x: tensor<2x3x8xbf16>, %w: tensor<4x8xbf16>) -> tensor<2x3x4xbf16> {
// CHECK-NEXT: %0 = nn.reshape %x : (tensor<2x3x8xbf16>) -> tensor<6x8xbf16>
// CHECK-NEXT: %1 = nn.linear %0, %w : (tensor<6x8xbf16>, tensor<4x8xbf16>) -> tensor<6x4xbf16>
// CHECK-NEXT: %2 = nn.relu %1 : (tensor<6x4xbf16>) -> tensor<6x4xbf16>
// CHECK-NEXT: %3 = nn.reshape %2 : (tensor<6x4xbf16>) -> tensor<2x3x4xbf16>
// CHECK-NEXT: func.return %3 : tensor<2x3x4xbf16>
