//! How a thread becomes its role: a descriptor table of its own, named slots, its filter, and what happens
//! when it asks for more.
