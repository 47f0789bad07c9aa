// SPDX-License-Identifier: MIT
//
// Certificates made at test time, as PEM files in a folder.
#ifndef UNIT_IO_CERTS_HPP
#define UNIT_IO_CERTS_HPP

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "io.hpp"

struct Identity {
    EVP_PKEY *key = nullptr;
    X509 *cert = nullptr;
    std::string cert_file, key_file;
    ~Identity();
};

class Authority
{
  public:
    Folder folder;
    Identity ca, server, client, stranger; // the stranger signed itself
    Authority();
    // A certificate for `common_name` (may contain NUL bytes), signed by `by`.
    void issue(Identity &id, const char *name, const std::string &common_name, const Identity &by);
    std::string write(const char *name, const std::string &text);
};

#endif
