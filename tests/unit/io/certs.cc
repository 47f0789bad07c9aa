// SPDX-License-Identifier: MIT
#include "certs.hpp"

Identity::~Identity()
{
    EVP_PKEY_free(key);
    X509_free(cert);
}

static void save(const std::string &path, const std::function<int(FILE *)> &put)
{
    FILE *f = fopen(path.c_str(), "w");
    ASSERT_NE(f, nullptr);
    EXPECT_EQ(put(f), 1);
    fclose(f);
}

void Authority::issue(Identity &id, const char *name, const std::string &common_name,
                      const Identity &by)
{
    static long serial = 1;
    id.key = EVP_EC_gen("P-256");
    id.cert = X509_new();
    X509_set_version(id.cert, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(id.cert), serial++);
    X509_gmtime_adj(X509_getm_notBefore(id.cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(id.cert), 86400);
    X509_set_pubkey(id.cert, id.key);
    X509_NAME *subject = X509_get_subject_name(id.cert);
    X509_NAME_add_entry_by_txt(subject, "O", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char *>("Example"), -1, -1, 0);
    X509_NAME_add_entry_by_NID(subject, NID_commonName, V_ASN1_UTF8STRING,
                               reinterpret_cast<const unsigned char *>(common_name.data()),
                               static_cast<int>(common_name.size()), -1, 0);
    X509_set_issuer_name(id.cert, X509_get_subject_name(by.cert ? by.cert : id.cert));
    if (&by == &id) {
        X509_EXTENSION *is_ca =
            X509V3_EXT_conf_nid(nullptr, nullptr, NID_basic_constraints, "critical,CA:TRUE");
        X509_add_ext(id.cert, is_ca, -1);
        X509_EXTENSION_free(is_ca);
    }
    EXPECT_GT(X509_sign(id.cert, by.key, EVP_sha256()), 0);
    id.cert_file = folder.file((std::string(name) + ".crt").c_str());
    id.key_file = folder.file((std::string(name) + ".key").c_str());
    save(id.cert_file, [&](FILE *f) { return PEM_write_X509(f, id.cert); });
    save(id.key_file, [&](FILE *f) {
        return PEM_write_PrivateKey(f, id.key, nullptr, nullptr, 0, nullptr, nullptr);
    });
}

std::string Authority::write(const char *name, const std::string &text)
{
    std::string path = folder.file(name);
    save(path, [&](FILE *f) { return fputs(text.c_str(), f) >= 0 ? 1 : 0; });
    return path;
}

Authority::Authority()
{
    issue(ca, "ca", "Test CA", ca);
    issue(server, "server", "broker.example", ca);
    issue(client, "client", "sensor-7", ca);
    issue(stranger, "stranger", "nobody", stranger);
}
