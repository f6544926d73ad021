-- Sends each study to Osteon when it has been quiet for StableAge seconds.
-- OnStableStudy also fires when Osteon's results arrive. So the script counts the images, notes how many it has sent
-- in the study's metadata, and sends again only when there are others: a late image still goes, results do not.
-- Needs in Orthanc's configuration: DicomModalities "osteon", UserMetadata "OsteonRouted" (any number from 1024).

local NODE = 'osteon'
local NO_IMAGES = { SEG = true, SR = true, PR = true, KO = true, OT = true, DOC = true, RTSTRUCT = true }

local function images(study)
   local count = 0
   for _, id in ipairs(ParseJson(RestApiGet('/studies/' .. study))['Series']) do
      local series = ParseJson(RestApiGet('/series/' .. id))
      if not NO_IMAGES[series['MainDicomTags']['Modality']] then
         count = count + #series['Instances']
      end
   end
   return count
end

function OnStableStudy(study, tags, metadata)
   local count = images(study)
   if count == 0 or metadata['OsteonRouted'] == tostring(count) then
      return
   end
   RestApiPut('/studies/' .. study .. '/metadata/OsteonRouted', tostring(count))
   RestApiPost('/modalities/' .. NODE .. '/store', DumpJson({ Resources = { study }, Asynchronous = true }))
   print('sent ' .. count .. ' images of study ' .. study .. ' to ' .. NODE)
end
