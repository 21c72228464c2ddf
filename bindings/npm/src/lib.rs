//! The core for JavaScript: conversion and error codes only.

#![forbid(unsafe_code)]
