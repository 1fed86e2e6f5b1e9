//! Models of the ledger's rules; see the tests. A crate of its own so that they are optimized where the others' tests are
//! not: the rules are generic and compiled here.
