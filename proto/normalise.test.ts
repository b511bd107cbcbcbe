import { expect, test } from 'vitest'
import { normaliseProto } from './normalise.ts'

test('comments, options and layout go, names, numbers and types stay', () => {
  const source = `/* Licence; { } */
syntax = "proto3";
package runtime.v1;
option go_package = "k8s.io/cri-api";
// The service.
service S {
    // A call.
    rpc Call(A)   returns (stream  B) {}
}
message A{
    map<string,string> labels = 1; // trailing
    string secret = 2 [debug_redact = true];
    enum Kind {
        // nothing
        NONE   = 0;
    }
    repeated Kind kinds   = 3 ;
}
message B {}`
  expect(normaliseProto(source)).toBe(`syntax = "proto3";
package runtime.v1;

service S {
  rpc Call(A) returns (stream B) {}
}

message A {
  map<string, string> labels = 1;
  string secret = 2;
  enum Kind {
    NONE = 0;
  }
  repeated Kind kinds = 3;
}

message B {}
`)
})
