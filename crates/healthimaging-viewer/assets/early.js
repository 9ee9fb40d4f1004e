// Asks for the series that the address names while the page is parsed and its scripts are unpacked.
{
  const [datastore, study, series] = location.hash.slice(1).split('/');
  if (series && parent === window) {
    const headers = { Accept: 'application/dicom+json' };
    try {
      const token = sessionStorage.getItem('token');
      if (token) headers.Authorization = `Bearer ${token}`;
    } catch {
      /* None was kept. */
    }
    const base = location.pathname.replace(/[^/]*$/, '');
    const path = `${base}datastore/${datastore}/studies/${study}/series/${series}/metadata`;
    window.early = { path, response: fetch(path, { headers, cache: 'no-cache' }).catch(() => null) };
  }
}
