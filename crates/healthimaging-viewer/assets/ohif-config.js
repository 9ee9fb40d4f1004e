// Configuration of OHIF for this server: a data source for each active data store.
//
// OHIF awaits the function when it starts. Where the server requires a token, the start page asks for it and returns here.

(() => {
  const base = new URL('.', document.currentScript.src),
    place = new URL('view', base).pathname;
  const stored = (name) => {
    try {
      return sessionStorage.getItem(name);
    } catch {
      return null;
    }
  };
  const token = stored('token'),
    authorization = token ? { Authorization: `Bearer ${token}` } : {};

  // The protocol of 2026-07-28, which needs no session.
  async function dataStores() {
    const version = '2026-07-28',
      name = 'list_datastores',
      method = 'tools/call';
    const _meta = {
      'io.modelcontextprotocol/protocolVersion': version,
      'io.modelcontextprotocol/clientCapabilities': {},
      'io.modelcontextprotocol/clientInfo': { name: 'healthimaging-ohif', version: '1' },
    };
    const response = await fetch(new URL('mcp', base), {
      method: 'POST',
      headers: {
        ...authorization,
        'Content-Type': 'application/json',
        Accept: 'application/json, text/event-stream',
        'MCP-Protocol-Version': version,
        'Mcp-Method': method,
        'Mcp-Name': name,
      },
      body: JSON.stringify({
        jsonrpc: '2.0',
        id: 1,
        method,
        params: { name, arguments: { datastore_status: 'ACTIVE' }, _meta },
      }),
    });
    if (response.status === 401 || response.status === 403) return null;
    const body = await response.text(),
      messages = body.startsWith('{') ? [body] : [...body.matchAll(/^data: ?(\{.*)$/gm)].map(([, data]) => data);
    const { result } = messages.map((message) => JSON.parse(message)).find(({ id }) => id === 1);
    if (result.isError) throw new Error(result.content[0].text);
    const answer = result.structuredContent ?? JSON.parse(result.content[0].text);
    return answer.datastore_summaries;
  }

  const source = ({ datastore_id: id, datastore_name: name }) => {
    const root = new URL(`datastore/${id}`, base).href;
    return {
      namespace: '@ohif/extension-default.dataSourcesModule.dicomweb',
      sourceName: id,
      configuration: {
        friendlyName: name ?? id,
        name: id,
        qidoRoot: root,
        wadoRoot: root,
        wadoUriRoot: root,
        qidoSupportsIncludeField: true,
        imageRendering: 'wadors',
        thumbnailRendering: 'thumbnail',
        thumbnailRequestStrategy: 'fetch',
        enableStudyLazyLoad: true,
        supportsFuzzyMatching: true,
        supportsWildcard: true,
        singlepart: 'bulkdata,video',
        bulkDataURI: { enabled: true },
        omitQuotationForMultipartRequest: true,
      },
    };
  };

  // An extension, since the services are there only when extensions are registered.
  const signedIn = {
    id: 'healthimaging-token',
    preRegistration: ({ servicesManager }) =>
      servicesManager.services.userAuthenticationService.setServiceImplementation({
        getAuthorizationHeader: () => authorization,
      }),
  };

  async function configuration() {
    const stores = await dataStores();
    if (!stores?.length) {
      if (!stores) sessionStorage.setItem('next', location.href);
      location.replace(base);
      return new Promise(() => {});
    }
    const sources = stores.map(source);
    // Whole slides are shown with what is in the window.
    window.config = {
      routerBasename: place,
      extensions: token ? [signedIn] : [],
      modes: [],
      customizationService: {},
      showStudyList: true,
      maxNumberOfWebWorkers: 3,
      showWarningMessageForCrossOrigin: true,
      showCPUFallbackMessage: true,
      showLoadingIndicator: true,
      strictZSpacingForVolumeViewport: true,
      groupEnabledModesFirst: true,
      investigationalUseDialog: { option: 'never' },
      defaultDataSourceName: sources[0]?.sourceName,
      dataSources: sources,
    };
    return window.config;
  }

  // OHIF reads the base of its addresses before it calls the function.
  window.config = Object.assign(configuration, { routerBasename: place });
})();
